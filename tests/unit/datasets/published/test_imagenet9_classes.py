from __future__ import annotations

import numpy as np
import pytest
from torchvision.models import ResNet18_Weights

from ectool.datasets.published.imagenet9_classes import CLASSES, class_mapping

# The two classes that are no runs, as they stand in the official in_to_in9.json.
VEHICLES = (
    "656 661 407 408 665 791 670 671 802 803 547 675 555 428 817 690 561 436 820 565 569 444 573 "
    "829 705 586 717 847 468 603 734 864 609 866 867 612 870 751 880 627 757 511"
)
INSTRUMENTS = (
    "641 513 642 776 401 402 541 546 420 683 684 558 687 432 822 566 699 577 579 593 594 486 875 "
    "494 881 889"
)


def test_the_classes_have_as_many_members_as_in_the_paper():
    mapping = class_mapping()
    assert mapping.shape == (1000,)
    assert mapping.dtype == np.int64
    counts = [int((mapping == label).sum()) for label in range(-1, 9)]
    assert counts == [630, 116, 52, 42, 36, 35, 27, 26, 20, 16]


@pytest.mark.parametrize(("label", "members"), [(2, VEHICLES), (6, INSTRUMENTS)])
def test_scattered_members_are_the_official_ones(label, members):
    official = sorted(int(member) for member in members.split())
    assert np.flatnonzero(class_mapping() == label).tolist() == official


@pytest.mark.parametrize(
    ("category", "name"),
    [
        ("Chihuahua", "dog"),
        ("African hunting dog", "carnivore"),
        ("dingo", "carnivore"),
        ("Mexican hairless", "dog"),
        ("cock", "bird"),
        ("brambling", "bird"),
        ("ostrich", "bird"),
        ("black grouse", None),
        ("goldfish", "fish"),
        ("tench", "fish"),
        ("puffer", "fish"),
        ("sturgeon", "fish"),
        ("loggerhead", "reptile"),
        ("sidewinder", "reptile"),
        ("trilobite", None),
        ("bullfrog", None),
        ("timber wolf", "carnivore"),
        ("tabby", None),
        ("lion", "carnivore"),
        ("giant panda", "carnivore"),
        ("otter", "carnivore"),
        ("tiger beetle", "insect"),
        ("monarch", "insect"),
        ("tarantula", None),
        ("orangutan", "primate"),
        ("indri", "primate"),
        ("Indian elephant", None),
        ("tractor", "wheeled vehicle"),
        ("unicycle", "wheeled vehicle"),
        ("speedboat", None),
        ("violin", "musical instrument"),
        ("steel drum", "musical instrument"),
        ("toilet tissue", None),
    ],
)
def test_well_known_members(category, name):
    position = ResNet18_Weights.DEFAULT.meta["categories"].index(category)
    label = class_mapping()[position]
    assert (CLASSES[label] if label >= 0 else None) == name


def test_the_table_is_read_only():
    with pytest.raises(ValueError, match="read-only"):
        class_mapping()[0] = 1
