"""The changed versions of an image whose explanation and prediction candidates compare."""

from __future__ import annotations

from dataclasses import dataclass

from ectool.config.validity import StudyConfig
from ectool.errors import UsageError
from ectool.options import MAX_PIXEL

CLEAN = "clean"
MEAN = "mean"
"""Amount of the candidate that averages over all levels of a mask."""
AUTO = "auto"
"""Radius at which half of the correct images change their prediction."""
CONTROL = "replace-other"
"""As `replace`, with the heatmap of another image: what remains without this explanation."""
ATTACKED_SHARE = 0.5


@dataclass(frozen=True, order=True)
class Version:
    """One way to change an image.

    Attributes:
        kind: What happens to the image.
        source: Heatmap that selects the pixels; empty where none does.
        amount: Level of the mask, or radius in grey levels, or `auto` or `mean`.
    """

    kind: str
    source: str = ""
    amount: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in (self.kind, self.source, self.amount) if part)

    @classmethod
    def parse(cls, text: str) -> Version:
        """Read KIND/MAP/AMOUNT, or KIND/AMOUNT where no heatmap selects pixels."""
        parts = text.split("/")
        return cls(parts[0], "", parts[1]) if len(parts) == 2 else cls(*parts)


@dataclass(frozen=True)
class Candidate:
    """A score of a sample: the similarity of its heatmaps times the stability of its prediction.

    Attributes:
        version: How the image is changed.
        similarity: Name of the similarity; `none` for 1.
        stability: Name of the stability; `none` for 1.
    """

    version: Version
    similarity: str
    stability: str

    def __str__(self) -> str:
        return f"{self.version}|{self.similarity}|{self.stability}"

    @classmethod
    def parse(cls, text: str, where: str) -> Candidate:
        """Read KIND/MAP/AMOUNT|SIMILARITY|STABILITY.

        Raises:
            UsageError: It has not three parts.
        """
        parts = text.split("|")
        if len(parts) != 3:
            raise UsageError(
                f"[study] {where}",
                expected="KIND/MAP/AMOUNT|SIMILARITY|STABILITY",
                got=repr(text),
                fix="correct the file",
            )
        return cls(Version.parse(parts[0]), parts[1], parts[2])


def grey_levels(eps: float) -> str:
    """Return a radius in grey levels, as versions name it."""
    return f"{eps * MAX_PIXEL:g}"


def all_versions(config: StudyConfig) -> list[Version]:
    """Return every version that a study measures."""
    radii = [*(grey_levels(eps) for eps in config.eps), AUTO]
    levels = [f"{level:g}" for level in config.levels]
    middle = radii[len(config.eps) // 2]
    of_attack = {
        "pgd": [Version("pgd", "gradcam", radius) for radius in radii],
        "pgd-inverse": [Version("pgd-inverse", "gradcam", radius) for radius in (middle, AUTO)],
        "pgd-full": [Version("pgd-full", "", radius) for radius in radii],
    }
    return [
        Version(CLEAN),
        *(version for attack in config.attacks for version in of_attack[attack]),
        *(
            Version(kind, source, level)
            for kind in replacements(config)
            for source in config.maps
            for level in levels
        ),
    ]


def replacements(config: StudyConfig) -> tuple[str, ...]:
    """Return the kinds of versions with a replaced background, and their control."""
    return (*config.replacements, *([CONTROL] if "replace" in config.replacements else []))


def needed(version: Version, config: StudyConfig) -> list[Version]:
    """Return the versions that a candidate averages over: itself, or one for each level."""
    if version.amount != MEAN:
        return [version]
    return [Version(version.kind, version.source, f"{level:g}") for level in config.levels]
