# SPDX-License-Identifier: GPL-3.0-or-later
"""A job as one object of geometry nodes instances: exact colors, films, attributes, converting to layers and back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from blenders import Blender
from exact_jobs import Case
from numpy.typing import NDArray
from pictures import premultiplied, psnr
from synthetic import COLOR_CASES, write_job

from smalti.bridge.composition import Header, write_header

pytestmark = [pytest.mark.blender, pytest.mark.slow]


def test_cycles_shows_the_exact_colors_of_instances(blender: Blender, color_jobs: list[Path], tmp_path: Path) -> None:
    pictures = [tmp_path / f"{job.name}.png" for job in color_jobs]
    shown = [(job, [(1, path)]) for job, path in zip(color_jobs, pictures)]
    result = blender.run("show_colors", jobs=shown, form='MOSAIC')
    for job, path, case, told in zip(color_jobs, pictures, COLOR_CASES, result["jobs"], strict=True):
        found = psnr(path, job / "render.png")
        print(f"{blender.python.parents[1].name} {case[:4]}: {found:.1f} dB")
        assert found > case[4], case
        assert told["after"] == []


@pytest.mark.parametrize("frames", [1, 3])
def test_converting_to_layers_and_back_gives_the_same_picture_and_keys(
    blender: Blender, tmp_path: Path, frames: int
) -> None:
    write_job(tmp_path / "job", count=20, frames=frames, width=64, height=48, shade=0.5)
    pictures = [tmp_path / f"{number}.png" for number in range(5)]
    frame = 6 if frames > 1 else None
    result = blender.run("convert", job=tmp_path / "job", pictures=pictures, frame=frame)
    drawn = tmp_path / "job" / ("render/0002.png" if frames > 1 else "render.png")
    assert psnr(pictures[0], drawn) > 46
    assert psnr(pictures[1], pictures[0]) > 80
    assert psnr(pictures[2], pictures[0]) > 80
    assert psnr(pictures[4], pictures[3]) > 80
    assert psnr(pictures[3], pictures[0]) < 40, "the artist's changes do not show"
    first, second, third = result["points"]
    assert np.array(first["location"]).shape == (frames, 20, 2)
    for name, values in first.items() if frames > 1 else list(first.items())[:-1]:
        assert np.allclose(second[name], values, atol=1e-6), name
    if frames > 1:
        assert first["frames"] == [5, 6, 7]
        keys = result["told"]["curves"][0]["location[0]"]
        assert np.allclose(keys, [(5 + f, first["location"][f][0][0]) for f in range(3)], atol=1e-6)
        assert result["told"]["curves"][-1] == {}, "the last sprites stand still"
    assert third["layer"] == [2, 3, *range(5, 21), 1], "by their height now"
    assert third["tilt"][0][0] == pytest.approx(0.5)
    assert np.allclose(np.array(third["color"])[:, 1], (1, 0, 0, 1))
    assert (result["changed"], result["deleted"]) == (([1, 2, 3], [4]) if frames == 1 else (result["changed"], [4]))
    assert result["told"]["after"][0] == 4, "the Empty, the background, the camera and the mosaic"
    assert result["told"]["after"][1:] == [0, []]
    assert result["left"] == []


def _matrices(arrays: dict[str, Any], header: Header, frame: float) -> NDArray[Any]:
    """The matrix of every sprite's bitmap, [N, 4, 4], where the longer side of the canvas is 2 units."""
    last = header.frames - 1
    before, share = divmod(min(frame, last), 1)
    rows = (int(before), min(int(before) + 1, last))
    values = {n: (1 - share) * arrays[n][rows[0]] + share * arrays[n][rows[1]] for n in ("x", "y", "theta")}
    ratio = np.array([(t.width, t.height) for t in header.templates])[arrays["template"]]
    ratio = ratio / ratio.max(1, keepdims=True)
    stretch = np.exp(arrays["aspect"][..., None] / 2 * (1, -1))
    sizes = arrays["scale"][..., None] * ratio * stretch
    size = (1 - share) * sizes[rows[0]] + share * sizes[rows[1]]
    unit = 2 / max(header.width, header.height)
    found = np.zeros((header.sprites, 4, 4))
    cosine, sine = np.cos(-values["theta"]), np.sin(-values["theta"])
    found[:, 0, 0], found[:, 0, 1] = cosine * size[:, 0] * unit, -sine * size[:, 1] * unit
    found[:, 1, 0], found[:, 1, 1] = sine * size[:, 0] * unit, cosine * size[:, 1] * unit
    found[:, 2, 2] = found[:, 3, 3] = 1
    found[:, 0, 3] = (values["x"] - header.width / 2) * unit
    found[:, 1, 3] = (header.height / 2 - values["y"]) * unit
    found[:, 2, 3] = 2e-4 * (np.arange(header.sprites) + 1)
    return found


def test_a_film_plays_and_artists_nodes_read_the_attributes_and_stay_with_the_next_import(
    blender: Blender, tmp_path: Path
) -> None:
    job = tmp_path / "job"
    header = write_job(job, count=20, frames=3, pictures=False)
    leaf, ring, tile = header.templates
    ring, tile = replace(ring, letter="R", region="face"), replace(tile, region="sky")
    write_header(job, replace(header, templates=(leaf, ring, tile)))
    result = blender.run("instances", job=job)
    arrays = dict(np.load(job / "frames.npz"))
    for frame, found in zip((0, 1, 1.5, 2, 2), result["frames"], strict=True):
        assert np.allclose(found, _matrices(arrays, header, frame), atol=1e-5), frame
    bitmap = arrays["template"]
    assert result["attributes"] == {
        "rank": list(range(20)),
        "bitmap": bitmap.tolist(),
        "quad": bitmap.tolist(),
        "region": np.array([-1, 0, 1])[bitmap].tolist(),
        "letter": np.array([-1, ord("R"), -1])[bitmap].tolist(),
        "layer": list(range(1, 21)),
    }
    assert np.allclose(np.array(result["tints"])[:, :3], arrays["tint"][0], atol=1e-6)
    second = _matrices(arrays, header, 1)
    assert np.allclose(result["later"], second, atol=1e-5), "the first frame is the artist's"
    size = np.linalg.norm(second[:, :3, :2], axis=1)
    moved = np.stack([np.arange(20), *(result["attributes"][name] for name in ("letter", "region"))], -1)
    moved = moved + np.pad(100 * size, ((0, 0), (0, 1)))
    for name in ("exploded", "exploded_again"):
        places = np.array(result[name])[:, :3, 3]
        assert np.allclose(places - ((3, 0, 0) if name == "exploded_again" else 0), moved, atol=2e-3), name
    states = result["states"]
    assert all(state["same"] and not state["unused"] for state in states.values())
    assert states["fresh"]["objects"] == ["job", "job Background", "job Mosaic"]
    assert states["again"] == {
        **states["fresh"],
        "modifiers": ["Mosaic", "Explode"],
        "first": 11,
        "location": [3, 0, 0],
    }
    assert states["as_layers"]["hidden"], "it has the artist's own nodes"
    assert len(states["as_layers"]["objects"]) == 23
    assert states["back"] == states["again"]


def test_mosaic_is_fast(blender: Blender, tmp_path: Path) -> None:
    write_job(tmp_path / "still", count=20_000, pictures=False)
    write_job(tmp_path / "film", count=5000, frames=50, pictures=False)
    result = blender.run("mosaic_timed", jobs=[tmp_path / "still", tmp_path / "film"])
    print(f"{blender.python.parents[1].name}: CPU seconds {result['seconds']}, a frame {result['frame'] * 1e3:.2f} ms")
    assert result["seconds"]["still"] < 1
    assert result["seconds"]["undo"] < 0.3
    assert result["frame"] < 0.002 * 1.5, "beside other work on the machine"


def test_large_bitmaps_are_as_exact_as_in_layers_and_converting_keeps_that(
    blender: Blender, films: dict[Case, Path], tmp_path: Path
) -> None:
    job = films["srgb", 0.2, 0.8, "#203040"]
    pictures = [tmp_path / f"{number}.png" for number in range(3)]
    blender.run("convert_exact", job=job, pictures=pictures)
    wanted = premultiplied(job / "render" / "0002.png")
    for picture in pictures:
        off = 255 * np.abs(premultiplied(picture) - wanted)
        assert off.mean() < 0.5, picture.name
        assert np.percentile(off, 99.9) <= 2, picture.name
