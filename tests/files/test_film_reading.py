# SPDX-License-Identifier: GPL-3.0-or-later
"""Films are read frame by frame: the right one, upright, with its colors and its transparency."""

from __future__ import annotations

import sys
import tracemalloc
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from film_files import Written, av, level, write_film
from numpy.typing import NDArray
from runs import refused

from smalti.engine.files import film, film_index
from smalti.engine.files.film import Film
from smalti.engine.files.film_index import TooFewFramesError

KINDS = {
    "mp4": ("film.mp4", Written()),
    "10 bits": ("film.mp4", Written(pixels="yuv420p10le")),
    "full range": ("film.mp4", Written(pixels="yuvj420p")),
    "frames in another order": ("film.mkv", Written(key_every=12)),
    "no times of display": ("film.avi", Written("mpeg4")),
    "a stream": ("film.ts", Written()),
    "odd sizes": ("film.webm", Written("libvpx-vp9", size=(33, 17))),
    "ProRes": ("film.mov", Written("prores_ks", "yuva444p10le")),
}


def reds(footage: Film) -> list[int]:
    """The red of each frame, read one after another."""
    return [int(red_of(footage.read(index))) for index in range(len(footage))]


def red_of(pixels: NDArray[np.uint8]) -> int:
    """The red near the lower right corner."""
    return int(pixels[-4, -4, 0])


@pytest.mark.parametrize("kind", KINDS)
def test_every_frame_is_read_in_any_order(tmp_path: Path, kind: str) -> None:
    name, how = KINDS[kind]
    footage = Film(write_film(tmp_path / name, 12, how))
    assert len(footage) == 12
    assert footage.rate == 25
    frames = [footage.read(index).copy() for index in range(12)]
    assert frames[0].shape == (how.size[1], how.size[0], 4)
    for index, pixels in enumerate(frames):
        expected = (level(index), 255 - level(index), 128)
        np.testing.assert_allclose(pixels[-4, -4, :3], expected, atol=6)
    for index in (9, 2, 11, 0, 5, 4):
        np.testing.assert_array_equal(footage.read(index), frames[index])
    part = Film(tmp_path / name, None, 5, 8)
    assert len(part) == 4
    np.testing.assert_array_equal(part.read(2), frames[7])
    assert part.title(2) == f"{tmp_path / name}, frame 8"
    assert part.fingerprint(2) == footage.fingerprint(7)


@pytest.mark.parametrize(("name", "how"), [
    ("film.webm", Written("libvpx-vp9", "yuva420p")),
    ("film.mov", Written("prores_ks", "yuva444p10le")),
    ("film.mov", Written("qtrle", "argb")),
])  # fmt: skip
def test_transparency_is_kept(tmp_path: Path, name: str, how: Written) -> None:
    footage = Film(write_film(tmp_path / name, 6, how))
    for index in (0, 5, 2):
        alpha = footage.read(index)[..., 3]
        assert alpha[:, :20].max() <= 2
        assert alpha[:, 28:].min() >= 253


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_rotated_film_is_turned_upright(tmp_path: Path, degrees: int) -> None:
    write_film(tmp_path / "plain.mp4", 2)
    write_film(tmp_path / "turned.mp4", 2, Written(rotation=degrees))
    upright, turned = Film(tmp_path / "plain.mp4").read(1), Film(tmp_path / "turned.mp4").read(1)
    np.testing.assert_array_equal(turned, np.rot90(upright, degrees // 90))


def test_pixels_that_are_not_square_become_square(tmp_path: Path) -> None:
    path = write_film(tmp_path / "wide.mp4", 2, Written(aspect=Fraction(3, 2)))
    assert Film(path).read(0).shape == (32, 72, 4)


def test_a_varying_rate_is_made_constant(tmp_path: Path) -> None:
    times = [0, 40, 80, 200, 240, 280]
    footage = Film(write_film(tmp_path / "film.mp4", 6, Written(times=times)))
    assert footage.rate == 25
    assert reds(footage) == pytest.approx([level(k) for k in (0, 1, 2, 2, 2, 3, 4, 5)], abs=3)


@pytest.mark.parametrize(("rate", "own"), [(50, [0, 0, 1, 1, 2, 2, 3, 3]), (12.5, [1, 3]), (25, [0, 1, 2, 3])])
def test_another_rate_keeps_the_speed(tmp_path: Path, rate: float, own: list[int]) -> None:
    footage = Film(write_film(tmp_path / "film.mp4", 4), Fraction(rate))
    assert footage.rate == rate
    assert reds(footage) == pytest.approx([level(k) for k in own], abs=3)


def test_a_film_of_high_dynamic_range_is_said_to_look_pale(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    options = {"color_trc": "smpte2084"}
    Film(write_film(tmp_path / "high.mp4", 2, Written(pixels="yuv420p10le", options=options)))
    assert "its colors will be pale" in caplog.text
    caplog.clear()
    Film(write_film(tmp_path / "usual.mp4", 2))
    assert not caplog.text


def test_frames_beyond_the_last_one_are_refused_with_how_many_there_are(tmp_path: Path) -> None:
    path = write_film(tmp_path / "film.mp4", 6)
    for first, last in ((0, 6), (6, None), (400, 500)):
        with pytest.raises(TooFewFramesError) as caught:
            Film(path, None, first, last)
        assert caught.value.count == 6


# What is wrong with a file.


def test_a_film_that_was_cut_off_says_so_and_its_beginning_can_be_read(tmp_path: Path) -> None:
    path = write_film(tmp_path / "film.mkv", 40, Written(key_every=5, options={"bf": "0"}))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 6 // 10])
    fault = refused(lambda: Film(path))
    assert fault.code == "film_incomplete"
    assert fault.message.startswith(f"{path}: ends after ")
    assert fault.message.endswith(" of 40 frames, so it is incomplete.")
    assert "frames 1:" in fault.hint
    assert reds(Film(path, None, 0, 7)) == pytest.approx([level(k) % 256 for k in range(8)], abs=3)


def test_a_film_without_its_table_of_frames_is_refused(tmp_path: Path) -> None:
    path = write_film(tmp_path / "film.mp4")
    path.write_bytes(path.read_bytes()[:-500])
    fault = refused(lambda: Film(path))
    assert fault.code == "film_damaged"
    assert fault.message.startswith(f"{path}: is no film that can be read, or is damaged (")


@pytest.mark.parametrize(("data", "code"), [(b"", "picture_empty"), (b"no film at all" * 9, "film_damaged")])
def test_a_file_that_is_no_film_is_refused(tmp_path: Path, data: bytes, code: str) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(data)
    fault = refused(lambda: Film(path))
    assert fault.code == code
    assert str(path) in fault.message


def test_a_missing_film_is_named(tmp_path: Path) -> None:
    assert refused(lambda: Film(tmp_path / "none.mp4")).message == f"{tmp_path / 'none.mp4'}: does not exist."


def test_sound_alone_is_no_film(tmp_path: Path) -> None:
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("aac", rate=44100)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 2048), np.float32), format="fltp", layout="mono")
        sound.sample_rate = 44100
        file.mux(stream.encode(sound))
        file.mux(stream.encode())
    assert refused(lambda: Film(path)).code == "not_a_film"


def test_one_corrupt_frame_is_named_and_the_others_are_read(tmp_path: Path) -> None:
    path = write_film(tmp_path / "film.mp4", 12, Written(size=(64, 48), key_every=4, options={"bf": "0"}))
    good = [Film(path).read(index) for index in range(12)]
    packet = _place_of_packet(path, 6)
    data = bytearray(path.read_bytes())
    data[packet.start + 6 : packet.stop] = b"\xff" * (len(packet) - 6)
    path.write_bytes(data)
    footage = Film(path)
    for index in (0, 5):
        np.testing.assert_array_equal(footage.read(index), good[index])
    fault = refused(lambda: footage.read(6))
    assert fault.code == "film_damaged"
    assert fault.message.startswith(f"{path}, frame 7: is damaged (")
    np.testing.assert_array_equal(footage.read(8), good[8])


def _place_of_packet(path: Path, number: int) -> range:
    with av.open(str(path)) as file:
        packets = [packet for packet in file.demux(video=0) if packet.size]
        return range(packets[number].pos, packets[number].pos + packets[number].size)


def test_a_film_that_declares_too_many_pixels_is_refused_before_it_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_film(tmp_path / "film.mp4", 2)
    monkeypatch.setattr(film_index, "MAX_PIXELS", 48 * 32 - 1)
    fault = refused(lambda: Film(path))
    assert fault.code == "picture_too_large"
    assert "48 x 32 pixels" in fault.message


def test_a_playlist_in_the_name_of_a_film_reads_no_other_file(tmp_path: Path) -> None:
    other = write_film(tmp_path / "other.ts", 4)
    path = tmp_path / "film.ts"
    path.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{other}\n#EXT-X-ENDLIST\n")
    assert refused(lambda: Film(path)).code == "film_damaged"


def test_without_pyav_one_sentence_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_film(tmp_path / "film.mp4", 2)
    monkeypatch.setitem(sys.modules, "av", None)
    fault = refused(lambda: Film(path))
    assert fault.code == "no_pyav"
    assert 'pip install "smalti[film]"' in fault.hint


def test_a_pyav_that_is_too_old_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_film(tmp_path / "film.mp4", 2)
    monkeypatch.setattr(av, "__version__", "17.1.0")
    fault = refused(lambda: Film(path))
    assert fault.code == "no_pyav"
    assert fault.message == "Films need PyAV 18 or later, and it is 17.1.0."


# What it takes.


def test_a_film_is_decoded_once_where_it_is_read_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[int | None] = []
    begin = film._Decoder.__init__

    def counted(self: film._Decoder, path: Path, start: int | None) -> None:
        opened.append(start)
        begin(self, path, start)

    monkeypatch.setattr(film._Decoder, "__init__", counted)
    footage = Film(write_film(tmp_path / "film.mp4", 12))
    for index in (0, 0, 1, 2, 2, 3, 5, 6, 9, 11):
        footage.read(index)
    assert opened == [None]


def test_the_file_is_gone_through_once_for_its_times_and_hashes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_film(tmp_path / "film.mp4", 6)
    Film(path)
    monkeypatch.setattr(film_index, "opened", lambda path: pytest.fail("is gone through again"))
    assert len(Film(path)) == 6


def test_frames_do_not_stay_in_memory(tmp_path: Path) -> None:
    how = Written("mpeg4", size=(640, 360))
    footage = Film(write_film(tmp_path / "film.avi", 40, how))
    footage.read(0)
    tracemalloc.start()
    for index in range(1, 40):
        footage.read(index)
    assert tracemalloc.get_traced_memory()[1] < 6 * 640 * 360 * 4
    tracemalloc.stop()
