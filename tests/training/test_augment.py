"""Changes of pictures against Pillow, the standard library and arithmetic."""

from __future__ import annotations

import colorsys
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps
from torch import Tensor

from netspec.ir import Training
from netspec.training import augment
from netspec.training.sampler import Rolls

PLAIN = Training(learning_rate=1, batch_size=1, epochs=1)


def rolls(count: int, seed: int = 0) -> Rolls:
    return Rolls(seed, np.arange(count))


def smooth(height: int = 24, width: int = 30) -> Any:
    """A picture (H, W, 3) of bytes without hard edges."""
    rng = np.random.default_rng(0)
    small = Image.fromarray(rng.integers(0, 256, (6, 7, 3), dtype=np.uint8))
    return np.asarray(small.resize((width, height), Image.Resampling.BICUBIC))


def planes(picture: Any) -> Tensor:
    return torch.from_numpy(np.array(picture, np.float32)).permute(2, 0, 1)[None]


def bytes_of(x: Tensor) -> Any:
    return x[0].permute(1, 2, 0).numpy()


def factor(by: float) -> Tensor:
    return torch.full((1, 1, 1, 1), by)


@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation", "sharpness"])
@pytest.mark.parametrize("by", [0.3, 1.0, 1.6])
def test_colours_as_pillow_enhances(name: str, by: float) -> None:
    enhancer = getattr(ImageEnhance, {"saturation": "Color"}.get(name, name.capitalize()))
    wanted = np.asarray(enhancer(Image.fromarray(smooth())).enhance(by)).astype(float)
    found = bytes_of(getattr(augment, name)(planes(smooth()), factor(by)))
    assert np.abs(found - wanted).max() <= 2.5  # Pillow rounds down in between


def test_other_changes_as_pillow_makes_them() -> None:
    picture = Image.fromarray(smooth() // 2 + 30)
    x = planes(picture)
    for found, wanted in (
        (augment.posterize(x, factor(3)), ImageOps.posterize(picture, 3)),
        (augment.solarize(x, factor(90)), ImageOps.solarize(picture, 90)),
        (augment.equalize(x), ImageOps.equalize(picture)),
    ):
        np.testing.assert_array_equal(bytes_of(found), np.asarray(wanted))
    stretched = bytes_of(augment.autocontrast(x))
    assert np.abs(stretched - np.asarray(ImageOps.autocontrast(picture))).max() <= 1
    flat = torch.full((1, 1, 4, 4), 7.0)
    for change in (augment.autocontrast, augment.equalize):
        assert torch.equal(change(flat), flat)


def test_hues_as_the_standard_library_turns_them() -> None:
    picture = smooth(5, 6)
    found = bytes_of(augment.hue(planes(picture), factor(0.3)))
    for row, own in zip(picture, found, strict=True):
        for pixel, result in zip(row, own, strict=True):
            h, s, v = colorsys.rgb_to_hsv(*(pixel / 255.0))
            np.testing.assert_allclose(
                result, 255 * np.array(colorsys.hsv_to_rgb(h + 0.3, s, v)), atol=1e-2
            )
    gray = torch.full((1, 3, 2, 2), 9.0)
    torch.testing.assert_close(augment.hue(gray, factor(0.2)), gray)


def test_jitter_stays_in_its_range() -> None:
    x = torch.full((400, 1, 2, 2), 100.0)
    training = Training(1, 1, brightness=0.4)
    factors = augment.jitter(x, training, rolls(400))[:, 0, 0, 0] / 100
    assert 0.6 <= factors.min() < 0.62
    assert 1.38 < factors.max() <= 1.4
    assert torch.equal(augment.jitter(x, PLAIN, rolls(400)), x)


def test_boxes_are_cut_and_scaled_as_pillow_does() -> None:
    picture = Image.fromarray(smooth(40, 50))
    for box in ((0, 0, 50, 40), (3, 5, 41, 22), (10, 7, 14, 12)):
        left, top, right, bottom = box
        wanted = np.asarray(picture.resize((12, 9), Image.Resampling.BILINEAR, box=box))
        found = bytes_of(
            augment.cut(planes(picture), np.array([[top, left, bottom, right]]), (9, 12))
        )
        assert np.abs(found - wanted).max() <= 1.01


def test_random_boxes_have_their_share_and_ratio() -> None:
    sizes = np.tile([300, 400], (500, 1))
    top, left, bottom, right = augment.boxes(sizes, (0.1, 0.5), (0.5, 2.0), rolls(500), "a").T
    assert (top >= 0).all()
    assert (left >= 0).all()
    assert (bottom <= 300).all()
    assert (right <= 400).all()
    share = (bottom - top) * (right - left) / 120_000
    assert 0.09 < share.min() < 0.12
    assert 0.48 < share.max() < 0.51
    ratio = (right - left) / (bottom - top)
    assert 0.49 < ratio.min() < 0.55
    assert 1.8 < ratio.max() < 2.05
    # Where nothing fits, the middle of the nearest ratio.
    found = augment.boxes(np.array([[10, 1000]]), (0.9, 1.0), (0.75, 4 / 3), rolls(1), "a")
    assert found.tolist() == [[0, 493, 10, 506]]


def test_turned_as_pillow_does() -> None:
    picture = Image.fromarray(smooth())
    found = bytes_of(augment.warp(planes(picture), augment.turned(np.array([25.0]))))
    wanted = np.asarray(picture.rotate(25, Image.Resampling.BILINEAR)).astype(float)
    assert np.abs(found - wanted)[6:-6, 6:-6].max() <= 2
    assert (found[0, 0] == 0).all()
    x = torch.arange(12.0).reshape(1, 1, 3, 4)
    torch.testing.assert_close(augment.warp(x, augment.turned(np.array([180.0]))), x.flip(2, 3))


def test_what_is_moved_and_sheared() -> None:
    x = torch.arange(1.0, 13).reshape(1, 1, 3, 4)
    moved = augment.warp(x, augment._moved(np.array([1.0]), 0))
    torch.testing.assert_close(moved[0, 0, :, :3], x[0, 0, :, 1:])
    assert (moved[0, 0, :, 3] == 0).all()
    sheared = augment.warp(x, augment._sheared(np.array([1.0]), 0))  # a pixel more each row
    torch.testing.assert_close(sheared[0, 0, 1], x[0, 0, 1])
    torch.testing.assert_close(sheared[0, 0, 2, :3], x[0, 0, 2, 1:])
    torch.testing.assert_close(sheared[0, 0, 0, 1:], x[0, 0, 0, :3])


def test_windows_on_every_device() -> None:
    x = torch.arange(3.0 * 2 * 5 * 6).reshape(3, 2, 5, 6) + 1
    for size in ((3, 4), (5, 6)):
        for top, left in (([0, 2, -2], [1, 0, 3]), ([-9, 9, 1], [0, 0, -6])):
            given = x, np.array(top), np.array(left), size
            found = augment.windows(*given)
            assert torch.equal(augment.gathered(*given), found)
            padded = np.pad(x.numpy(), ((0, 0), (0, 0), (9, 9), (9, 9)))
            for i in range(3):
                part = padded[i, :, top[i] + 9 :, left[i] + 9 :][:, : size[0], : size[1]]
                np.testing.assert_array_equal(found[i, :, : part.shape[1], : part.shape[2]], part)


def test_a_share_of_the_pictures_gets_a_box_of_zeros() -> None:
    x = torch.ones(400, 2, 20, 25)
    found = augment.erased(x, 0.25, rolls(400))
    shares = (found == 0).float().mean((1, 2, 3))
    assert 70 < (shares > 0).sum() < 130
    assert shares[shares > 0].min() >= 0.016
    assert shares.max() < 0.35
    for picture in found[shares > 0][:5]:
        rows, columns = (torch.nonzero((picture[0] == 0).any(i)).flatten() for i in (1, 0))
        zeros = len(rows) * len(columns)
        assert (picture == 0).sum() == 2 * zeros == 2 * (rows[-1] - rows[0] + 1) * len(columns)


def test_randaugment_makes_every_change() -> None:
    x = planes(smooth()).repeat(120, 1, 1, 1)
    found = augment.randaugment(x, 1, 15, rolls(120))
    assert found.min() >= 0
    assert found.max() <= 255.001
    chosen = rolls(120).below("change 0", len(augment.CHANGES))
    assert set(chosen) == set(range(14))
    names = list(augment.CHANGES)
    same = [bool(torch.equal(a, b)) for a, b in zip(found, x, strict=True)]
    assert all(same[i] for i in range(120) if names[chosen[i]] == "identity")
    assert not any(
        same[i] for i in range(120) if names[chosen[i]] in ("rotate", "shear x", "sharpness")
    )
    solarized = found[int(np.flatnonzero(chosen == names.index("solarize"))[0])]
    torch.testing.assert_close(solarized, augment.solarize(x[:1], factor(127.5))[0])
    # A picture's changes are its own.
    torch.testing.assert_close(augment.randaugment(x[:9], 1, 15, rolls(120)[:9]), found[:9])


@pytest.mark.parametrize("fields", [{"mixup": 0.4}, {"cutmix": 1.0}])
def test_samples_mixed_in_pairs(fields: dict[str, float]) -> None:
    x = torch.arange(4.0).view(4, 1, 1, 1).expand(4, 1, 10, 10) * 1.0
    targets = torch.eye(4)
    training = Training(1, 1, **fields)  # type: ignore[arg-type]
    shares = set()
    for seed in range(40):
        found, mixed = augment.mixed(x, targets, training, rolls(4, seed))
        # The targets say how much of which sample a picture is, on the average.
        torch.testing.assert_close(found.mean((1, 2, 3)), mixed @ torch.arange(4.0))
        torch.testing.assert_close(mixed.sum(1), torch.ones(4))
        assert ((mixed > 0) == ((targets + targets.flip(0)) > 0))[mixed > 0].all()
        if "cutmix" in fields:
            assert set(found[0].flatten().tolist()) <= {0.0, 3.0}
        shares.add(round(float(mixed[0, 0]), 4))
    assert len(shares) > 15
    again = augment.mixed(x, targets, training, rolls(4, 39))
    assert torch.equal(again[0], found)


def test_either_is_done_where_both_are_wanted() -> None:
    x = torch.tensor([0.0, 1]).view(2, 1, 1, 1).expand(2, 1, 8, 8) * 1.0
    both = Training(1, 1, mixup=1.0, cutmix=1.0)
    cut = [
        set(augment.mixed(x, torch.eye(2), both, rolls(2, seed))[0].flatten().tolist())
        <= {0.0, 1.0}
        for seed in range(60)
    ]
    assert 15 < sum(cut) < 45
