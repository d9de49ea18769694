"""The nine classes of ImageNet-9, and the classes of ImageNet that belong to them.

The table is ``in_to_in9.json`` of https://github.com/MadryLab/backgrounds_challenge (Xiao et al.,
"Noise or Signal", ICLR 2021; the repository states no licence), written as ranges. Members
descend from one WordNet synset each: dog n02084071, bird n01503061, wheeled vehicle n04576211,
reptile n01661091, carnivore n02075296 (without the dogs), insect n02159955, musical instrument
n03800933, primate n02469914 and fish n02512053. Not every descendant is a member: house cats and
partridges belong to none.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from jaxtyping import Int64

FOLDERS = (
    "00_dog",
    "01_bird",
    "02_wheeled vehicle",
    "03_reptile",
    "04_carnivore",
    "05_insect",
    "06_musical instrument",
    "07_primate",
    "08_fish",
)
"""The published class folders, with spaces, in the order of the labels."""
CLASSES = tuple(folder[3:] for folder in FOLDERS)

N_IMAGENET_CLASSES = 1000
_MEMBERS = (
    "151-170 173-268",
    "7-24 87-100 127-146",
    "407-408 428 436 444 468 511 547 555 561 565 569 573 586 603 609 612 627 656 661 665 670-671 "
    "675 690 705 717 734 751 757 791 802-803 817 820 829 847 864 866-867 870 880",
    "33-68",
    "269-280 286-299 356-362 387-388",
    "300-326",
    "401-402 420 432 486 494 513 541 546 558 566 577 579 593-594 641-642 683-684 687 699 776 822 "
    "875 881 889",
    "365-384",
    "0-6 389-397",
)
"""Positions in ImageNet's usual order (by WordNet id, from 0), ends included."""


@cache
def class_mapping() -> Int64[np.ndarray, "1000"]:
    """Return the class of ImageNet-9 for every class of ImageNet, or -1.

    Returns:
        Read-only labels 0 to 8; -1 for the 630 classes that belong to none. An image of ImageNet-9
        whose predicted class maps to -1 counts as misclassified, as in the official evaluation.
    """
    mapping = np.full(N_IMAGENET_CLASSES, -1, np.int64)
    for label, members in enumerate(_MEMBERS):
        for run in members.split():
            first, _, last = run.partition("-")
            mapping[int(first) : int(last or first) + 1] = label
    mapping.setflags(write=False)
    return mapping
