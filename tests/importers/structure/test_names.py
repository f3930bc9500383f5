"""What several names of layers share."""

from __future__ import annotations

import pytest

from netspec.importers.structure.names import (
    UniqueNames,
    common_prefix,
    common_suffix,
    identifier,
    path_parts,
    stem,
    without_label,
)


@pytest.mark.parametrize(
    ("text", "op", "name"),
    [
        ("conv1/7x7_s2", "conv", "conv1_7x7_s2"),
        ("1x1", "conv", "conv1x1"),
        ("3x3", "maxpool", "pool3x3"),
        ("Größe", "conv", "Groe"),
        ("if", "conv", "if_"),
        ("///", "conv", ""),
    ],
)
def test_identifiers(text: str, op: str, name: str) -> None:
    assert identifier(text, op) == name


def test_what_names_share() -> None:
    assert common_prefix(["res2a_branch1", "res2a_branch2a"]) == "res2a"
    assert common_prefix(["conv1", "pool1"]) == ""
    assert common_suffix(["Mconv1_stage2_L1", "Mconv2_stage2_L1"]) == "stage2_L1"
    assert path_parts("fire2/squeeze1x1") == ["fire2", "squeeze1x1"]
    assert without_label("fire2/squeeze1x1", "fire2") == "squeeze1x1"
    assert without_label("Mconv1_stage2_L1", "stage2_L1") == "Mconv1"
    assert without_label("conv1", "fire2") == "conv1"


def test_the_stem_of_names_does_not_depend_on_hashes() -> None:
    """Of equally good ones it is the first, whatever order a set has in this process."""
    names = ["fire2", "gate3", "head4", "unit5", "cell6", "part7"]
    assert stem(names) == "fire"
    assert stem(names[::-1]) == "part"
    assert stem([*names, "unit9"]) == "unit"


def test_unique_names() -> None:
    names = UniqueNames(["x"])
    assert [names.free(n) for n in ("x", "conv", "conv", "conv_2")] == [
        *("x_2", "conv", "conv_2", "conv_2_2"),
    ]
