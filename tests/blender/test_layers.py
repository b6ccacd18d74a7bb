# SPDX-License-Identifier: GPL-3.0-or-later
"""Import Layers against job folders made without the engine: exact colors, keys, replacement, speed, bad folders."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from blenders import Blender
from pictures import psnr
from synthetic import COLOR_CASES, covered, write_job

pytestmark = [pytest.mark.blender, pytest.mark.slow]


def test_cycles_shows_the_exact_colors(blender: Blender, color_jobs: list[Path], tmp_path: Path) -> None:
    pictures = [tmp_path / f"{job.name}.png" for job in color_jobs]
    result = blender.run("show_colors", jobs=[(job, [(1, path)]) for job, path in zip(color_jobs, pictures)])
    for job, path, case, told in zip(color_jobs, pictures, COLOR_CASES, result["jobs"], strict=True):
        found = psnr(path, job / "render.png")
        print(f"{blender.python.parents[1].name} {case[:4]}: {found:.1f} dB")
        assert found > case[4], case
        assert told["depth"] > 8, "the case needs more layers than Cycles shows by default"
        assert "View transform" in told["before"]
        assert told["after"] == []


def test_one_object_per_sprite_on_a_square_that_those_of_its_bitmap_share(blender: Blender, tmp_path: Path) -> None:
    header = write_job(tmp_path / "job", count=30, pictures=False)
    result = blender.run("import_job", job=tmp_path / "job", options={"longer_side": 4.0})
    arrays = np.load(tmp_path / "job" / "frames.npz")
    assert result["collection"] == "job"
    assert result["names"] == [f"{k + 1:02d} {header.templates[i].name}" for k, i in enumerate(arrays["template"])]
    assert result["meshes"] == 3
    assert result["materials"] == 3
    assert np.allclose(result["heights"], 4e-4 * (np.arange(30) + 1))
    assert result["backgrounds"] == [["job Background", 0.0]]
    assert result["cameras"] == [['ORTHO', 4.0]]
    x, y = arrays["x"][0], arrays["y"][0]
    assert np.allclose(result["places"], np.stack(((x - 48) * 4 / 96, (32 - y) * 4 / 96), -1), atol=1e-5)
    assert np.allclose(result["colours"], np.concatenate((arrays["tint"][0], arrays["opacity"][0][:, None]), -1))


def test_keys_equal_the_arrays_and_still_channels_have_none(blender: Blender, tmp_path: Path) -> None:
    write_job(tmp_path / "job", count=20, frames=5, frame_rate=23.976, pictures=False)
    result = blender.run(
        "import_job", job=tmp_path / "job", curves=True, options={"first_frame": 10, "key_tolerance": 0.0}
    )
    arrays = np.load(tmp_path / "job" / "frames.npz")
    start, end, fps, base = result["frames"]
    assert (start, end, fps) == (10, 14, 24)
    assert fps / base == pytest.approx(23.976)
    assert np.abs(np.diff(arrays["theta"], axis=0).sum(0)).max() > 2 * np.pi, "the case needs angles beyond one turn"
    channels = {
        "location[0]": (arrays["x"] - 48) * 2 / 96,
        "location[1]": (32 - arrays["y"]) * 2 / 96,
        "rotation_euler[2]": -arrays["theta"],
        "color[0]": arrays["tint"][..., 0],
        "color[3]": arrays["opacity"],
    }
    for k, curves in enumerate(result["curves"]):
        assert "location[2]" not in curves
        for channel, values in channels.items():
            if (values[:, k] == values[0, k]).all():
                assert channel not in curves
            else:
                assert np.allclose(
                    np.array(curves[channel]), np.stack((np.arange(10, 15), values[:, k]), -1), atol=1e-5
                )
    assert result["curves"][-1] == {}, "the last sprites stand still"


@pytest.mark.oldest_and_newest
def test_keys_keep_the_jobs_speed_where_the_scene_keeps_its_frame_rate(blender: Blender, tmp_path: Path) -> None:
    write_job(tmp_path / "job", count=4, frames=3, frame_rate=12.0, pictures=False)
    result = blender.run(
        "import_job", job=tmp_path / "job", curves=True, options={"set_frames": False, "key_tolerance": 0.0}
    )
    assert result["frames"][2] == 24
    assert [frame for frame, _ in result["curves"][0]["location[0]"]] == [1, 3, 5]


@pytest.mark.oldest_and_newest
def test_depth_is_a_close_upper_bound_of_the_deepest_stack(blender: Blender, tmp_path: Path) -> None:
    header = write_job(tmp_path / "job", count=300, frames=3, background="transparent", pictures=False)
    found = blender.run("import_job", job=tmp_path / "job")["depth"]
    arrays = dict(np.load(tmp_path / "job" / "frames.npz"))
    truth = max(int(covered(header, arrays, frame).max()) for frame in range(3))
    assert truth <= found <= 2 * truth


@pytest.mark.oldest_and_newest
def test_every_frame_of_an_animation_renders_as_the_engine_drew_it(blender: Blender, tmp_path: Path) -> None:
    write_job(tmp_path / "job", count=25, frames=3, width=64, height=48)
    pictures = [(frame, tmp_path / f"{frame}.png") for frame in (1, 2, 3)]
    blender.run("import_job", job=tmp_path / "job", renders=pictures, options={"key_tolerance": 0.0})
    for frame, path in pictures:
        assert psnr(path, tmp_path / "job" / "render" / f"{frame:04d}.png") > 50


def test_second_import_replaces_the_first_and_keeps_what_the_artist_added(blender: Blender, tmp_path: Path) -> None:
    write_job(tmp_path / "job", count=12, frames=2, pictures=False)
    write_job(tmp_path / "more" / "job", count=5, pictures=False)
    result = blender.run("import_twice", job=tmp_path / "job", other=tmp_path / "more" / "job")
    assert result["second"] == result["first"]
    assert result["kept"]
    assert result["collections"] == ["job", "job.001"]


@pytest.mark.oldest_and_newest
def test_paths_are_relative_to_a_saved_file(blender: Blender, tmp_path: Path) -> None:
    write_job(tmp_path / "project" / "job", count=3, pictures=False)
    result = blender.run("import_relative", file=tmp_path / "project" / "mosaic.blend", output="//job")
    assert result["pictures"] == ["//job/templates/leaf.png", "//job/templates/ring.png", "//job/templates/tile.png"]
    assert result["loaded"]


def _damaged(folder: Path, case: str) -> None:
    write_job(folder, count=3, pictures=False)
    if case == "no composition":
        (folder / "composition.json").unlink()
    elif case == "newer version":
        path = folder / "composition.json"
        path.write_text(path.read_text().replace('"version": 1', '"version": 99'))
    elif case == "truncated arrays":
        data = (folder / "frames.npz").read_bytes()
        (folder / "frames.npz").write_bytes(data[: len(data) // 2])
    elif case == "wrong shape":
        np.savez(folder / "frames.npz", **{**np.load(folder / "frames.npz"), "x": np.zeros((1, 2), np.float32)})
    elif case == "bitmap missing":
        (folder / "templates" / "ring.png").unlink()
    else:
        (folder / "templates" / "ring.png").write_bytes(b"not a picture")


@pytest.mark.oldest_and_newest
def test_bad_job_folder_is_told_and_leaves_the_scene_alone(blender: Blender, tmp_path: Path) -> None:
    expected = {
        "no composition": "holds no finished job",
        "newer version": "version 99",
        "truncated arrays": "frames.npz",
        "wrong shape": "'x' has shape",
        "bitmap missing": "ring.png",
        "bitmap broken": "ring.png",
    }
    for case in expected:
        _damaged(tmp_path / case, case)
    result = blender.run("import_bad", jobs=[tmp_path / case for case in expected])
    for (case, said), told in zip(expected.items(), result["told"], strict=True):
        assert said in told["message"], case
        assert told["left"] == [], case


def test_a_mosaic_stands_under_one_empty_in_front_of_the_cube_and_stays_where_it_was_put(
    blender: Blender, tmp_path: Path
) -> None:
    for name in ("job", "other"):
        write_job(tmp_path / name, count=12)
    result = blender.run("root", job=tmp_path / "job", other=tmp_path / "other")
    first, second = result["first"], result["second"]
    assert first["roots"] == second["roots"] == 1
    assert first["held"]
    assert second["held"]
    assert first["turned"] == pytest.approx([np.pi / 2, 0, 0])
    assert first["deepest"] < -1, "the cube reaches to -1"
    assert first["selected"] == [result["name"]]
    assert second["location"] == [5, 6, 7]
    # Its depth is the Empty's scale along z.
    assert 6 - second["nearest"] == pytest.approx(20 * (6 - result["flat"]), rel=1e-3)
    assert first["scene_camera"] == second["scene_camera"] == result["artists"]
    assert (first["view"], second["view"]) == ("AgX", "Raw")
    assert result["beside"]["deepest"] < result["flat"], "it stands in the other one"
    assert result["excluded"] == result["deleted"] == ["FINISHED"]
    assert result["last"]["held"]
    assert result["last"]["roots"] == 2


def test_what_the_artist_changed_stays_on_a_second_import_unless_it_is_to_be_replaced(
    blender: Blender, tmp_path: Path
) -> None:
    write_job(tmp_path / "job", count=12, pictures=False)
    write_job(tmp_path / "other", count=12, seed=1, pictures=False)
    result = blender.run("import_changed", job=tmp_path / "job", other=tmp_path / "other")
    first, changed, kept = result["first"], result["changed"], result["kept"]
    assert first["summary"] == ""

    assert changed["summary"] == kept["summary"] == "4 layers were changed and 1 deleted"
    for rank in "1234":
        assert kept["layers"][rank][:9] == changed["layers"][rank][:9], "changed, so it stays"
    assert kept["layers"]["4"][9] == "Gold"
    assert "5" not in kept["layers"], "deleted, so it stays away"
    assert kept["layers"]["6"][7] == "My Leaf"
    for rank in "67":
        assert kept["layers"][rank][:7] != changed["layers"][rank][:7], "untouched, so it follows the job"
    assert result["copied"]
    assert kept["camera"] == 3
    assert kept["chosen"] == 1
    # The Empty, the background, the camera and the copy; the rest by bitmap, but for the one that the artist put away.
    assert kept["homes"].pop("job") == 4
    assert sum(kept["homes"].values()) == 11
    assert {name for name in kept["homes"] if name != "Chosen"} <= {"job leaf", "job ring", "job tile"}
    replaced = result["replaced"]
    assert replaced["summary"] == ""
    assert len(replaced["layers"]) == 13
    assert replaced["layers"]["6"][:7] == kept["layers"]["6"][:7]
    assert replaced["homes"] == {"job": 13, "Chosen": 1}
    assert result["again"] == replaced
    assert not any("earlier" in layer[9] for layer in replaced["layers"].values())


def test_keys_that_the_artist_changed_stay_on_a_second_import(blender: Blender, tmp_path: Path) -> None:
    write_job(tmp_path / "job", count=8, frames=3, pictures=False)
    result = blender.run("import_rekeyed", job=tmp_path / "job")
    assert result["untouched"] == ""
    assert result["summary"] == "1 layer was changed"
    assert result["key"] == 7
    assert result["curves"] == result["before"]
    assert result["actions"][0] == result["actions"][1]


@pytest.mark.oldest_and_newest
def test_layers_lie_in_collections_by_region(blender: Blender, tmp_path: Path) -> None:
    write_job(tmp_path / "job", count=20, pictures=False)
    path = tmp_path / "job" / "composition.json"
    told = json.loads(path.read_text())
    told["templates"][0]["region"] = "face"
    path.write_text(json.dumps(told))
    result = blender.run("import_job", job=tmp_path / "job", options={"group": "REGION"})
    of_face = int((np.load(tmp_path / "job" / "frames.npz")["template"] == 0).sum())
    # Besides: the Empty, the background, the camera.
    assert result["homes"] == {"job": 20 - of_face + 3, "job face": of_face}


def test_a_matched_scene_gets_its_own_settings_back(blender: Blender, tmp_path: Path) -> None:
    write_job(tmp_path / "job", count=5, pictures=False)
    result = blender.run("match_and_restore", job=tmp_path / "job")
    before, after = result["before"], result["after"]
    assert before["view_settings.exposure"] == 1.5
    assert result["matched"]["view_settings.exposure"] == 0
    changed_since = "view_settings.gamma"
    assert after.pop(changed_since) == 1.25
    del before[changed_since]
    assert after == before
    assert not result["again"]


def test_materials_that_the_artist_edited_stay_on_a_second_import(blender: Blender, tmp_path: Path) -> None:
    write_job(tmp_path / "job", count=9, pictures=False)
    result = blender.run("import_edited", job=tmp_path / "job")
    assert result["first"]["summary"] == result["lit"]["summary"] == "", "what Smalti changes itself is no edit"
    for when in ("edited", "kept", "mosaic"):
        told = result[when]
        assert told["summary"] == "2 materials were edited", when
        assert told["gold"] == ["job leaf"], when
        assert told["rough"] == [0.25], when
        assert told["earlier"] == [], when
    assert result["edited"]["counts"] == result["kept"]["counts"]
    assert result["replaced"] == result["first"]
