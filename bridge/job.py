# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user asks for: the contents of ``job.json``.

The same type is filled by the Blender panel, by the command line and by the Python API, which all follow from the rows
below (see `bridge.settings`). A setting left at None follows from the canvas, the count and the bitmaps; the engine
works it out and reports what it took.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from . import frame_range, mosaic, rules
from .choices import (
    BLEND_SPACES,
    DEVICES,
    MASKS,
    PRESETS,
    TEXT_ORDERS,
    TEXT_SPLITS,
    BlendSpace,
    Device,
    Mask,
    Preset,
    TextOrder,
    TextSplit,
)
from .errors import named
from .looks import LOOKS, PAINTERLY, Look
from .loss import TERMS
from .region import MAX_COUNT, RegionSpec, needs_bitmaps
from .settings import (
    BITMAPS,
    Setting,
    check_ranges,
    gray_picture,
    paper_length,
    paths_of,
    row,
    setting,
    settings_of,
    share,
    sprite_size,
    with_paths,
)
from .together import check_together

__all__ = (
    "MAX_COUNT", "MAX_SIZE", "MAX_STEPS", "BlendSpace", "Device", "JobSpec", "Mask", "Preset",
    "RegionSpec", "TextOrder", "TextSplit", "setting_at",
)  # fmt: skip

MAX_SIZE = 16_384
MAX_STEPS = 1_000_000


def _gradient_steps(label: str, of: str, none: str, **more: Any) -> Any:
    return setting(None, label, f"Gradient steps of {of}", none=none, low=1, high=MAX_STEPS, **more)


@dataclass(frozen=True)
class JobSpec:
    """One job: a row for each setting, with its key in job.json, its type and its default."""

    target: str = field(
        metadata=row(
            "Target",
            "The picture or film to rebuild: a file, a folder of frames, or a pattern such as shot.####.png",
            path="file",
            rule="the path of an image, of a film, or of a folder of frames",
            page="main",
            metavar="TARGET",
        )
    )
    """Of a folder, every picture in it is a frame, in the natural order of the names (see
    `smalti.engine.job.footage`)."""
    primitives: str | tuple[str, ...] | None = setting(
        None,
        "Bitmaps",
        "A folder of bitmaps and SVG drawings to build with, one of them, or a pattern such as leaves/*.png",
        path="folder",
        rule=BITMAPS,
        page="main",
    )
    """Or a list of these. A path with a star is no pattern where there is such a file. None for `text` alone, or where
    all sprites are of regions with bitmaps of their own."""
    count: int = setting(
        1000,
        "Count",
        "Number of sprites, each a bitmap put somewhere; where there are regions, of those outside of them, and 0 "
        "rebuilds the regions alone",
        low=0,
        high=MAX_COUNT,
        soft_high=5000,
        page="main",
    )
    """At least 1 where there are no regions."""
    size: int | None = setting(
        None,
        "Size",
        "Longer side of the canvas",
        none="the target's own, at most 1024",
        low=16,
        high=MAX_SIZE,
        soft_high=2048,
        begin=512,
        unit="pixels",
        page="main",
    )
    preset: Preset = setting(
        "balanced",
        "Quality",
        f"How much time the fit may take; {named('steps')} counts more",
        choices=PRESETS,
        page="main",
    )
    look: Look = setting(
        PAINTERLY,
        "Look",
        "What of the bitmaps the picture shows; it stands in for the settings of its kind that are not given",
        choices=LOOKS,
        page="main",
    )
    """See `smalti.bridge.looks`. What counts are the settings: here it is a name for them."""
    steps: int | None = _gradient_steps(
        "Steps", "a still, or of the first frame", "from the count and the quality", soft_high=2000, begin=300
    )
    frame_steps: int | None = _gradient_steps(
        "Frame Steps", "every frame after the first", "from the steps of the first", soft_high=500, begin=60
    )
    until: float | None = setting(
        None,
        "Until",
        "Stop each frame when it is this like the target (PSNR)",
        none="all steps",
        above=0,
        high=100,
        soft_high=40,
        unit="dB",
        page=None,
        metavar="DB",
    )
    """Looked at every `smalti.engine.job.run.LIKENESS_STEPS`; the report says whether it was ``reached``."""
    target_frame: int | None = frame_range.target_frame
    frames: str | None = frame_range.frames
    """With a step, the result has as many frames fewer a second, so that it is as fast as the target."""
    frame_rate: float | None = frame_range.frame_rate
    """The result has as many, unless `frames` has a step."""
    coherence: float = setting(
        1.0,
        "Coherence",
        "How much the frames of a film hold together: 0 begins each where the one before ended, and flickers",
        low=0,
        high=1,
    )
    mask: Mask = setting("auto", "Mask", "Where the transparency of the bitmaps comes from", choices=MASKS)
    """See `smalti.engine.templates.load_templates`."""
    outline: float = share("Outline", "Keep the outlines of bitmaps alone, this thick for a longer side of 1", high=0.5)
    fade: float = share("Fade", "Fade bitmaps out on this part of the way from their center to their edge")
    bitmap_weights: tuple[float, ...] | None = setting(
        None,
        "Bitmap Weights",
        f"How sprites are shared out among several {named('primitives')}: a number for each, then one for the text, "
        "with commas between",
        none="every bitmap alike",
        check=rules.weights_rule,
        page=None,
        flag="--weights",
        metavar="NUMBERS",
    )
    """The bitmaps of one folder share alike. The first sprites keep to it, and later proposals are drawn by it."""
    colour_mix: float = share(
        "Color Mix",
        "0 paints every sprite in one free color, 1 keeps the bitmaps' own colors",
        page="main",
        flag="--mix",
    )
    """Between them, tint and own colors are mixed."""
    shade: float = share(
        "Shade", "How much of a bitmap's own light and shade is laid over its tint; 0 is flat", page="main"
    )
    """A sprite's color is its tint, plus this share of how the bitmap's luma differs from its mean. Where bitmaps keep
    their own colors altogether, it changes nothing."""
    lock_rotation: bool = setting(False, "Lock Rotation", "Keep every bitmap upright")
    lock_scale: bool = setting(False, "Lock Scale", "Keep every sprite at the size that it starts with")
    min_size: float | str | None = sprite_size(
        "Smallest Sprite", "Smallest longer side of a sprite on the canvas", "from the canvas", begin=10
    )
    max_size: float | str | None = sprite_size(
        "Largest Sprite", "Largest longer side of a sprite on the canvas", "from the canvas", begin=200
    )
    print_width: str | None = paper_length("Print Width", "How wide the picture is printed, for sizes on paper")
    alpha_max: float = setting(1.0, "Max Opacity", "No sprite becomes more opaque than this", above=0, high=1)
    alpha_min: float = share("Min Opacity", "No sprite becomes less opaque than this; bitmaps keep their soft edges")
    """At most `alpha_max`. Sprites that only harm are dropped, and the report says how many."""
    background: str = setting(
        "auto",
        "Background",
        "What lies behind the sprites: auto, transparent, a color as #rrggbb, or an image",
        check=rules.background_rule,
        page="main",
    )
    """``"auto"`` is transparent where the target has transparency, else the target's mean color, moved to where bitmaps
    that keep their own colors come nearest to the target. A color is sRGB; an image is stretched over the canvas."""
    blend_space: BlendSpace = setting(
        "srgb", "Blend Space", "The color space in which layers are laid over each other", choices=BLEND_SPACES
    )
    target_mask: str | tuple[str, ...] | None = gray_picture("Target Mask", "white is rebuilt, black is left empty")
    """What is white in any of several is rebuilt."""
    palette: tuple[str, ...] | None = setting(
        None,
        "Palette",
        "The only colors of sprites, as #rrggbb with commas between",
        none="any",
        check=rules.palette_rule,
        page="limits",
        metavar="COLORS",
    )
    """sRGB. Every sprite's tint is one of them, exactly; a film's sprites keep the colors of its first frame."""
    rotation_steps: int | None = setting(
        None,
        "Rotation Steps",
        "Sprites turn by multiples of 360 degrees divided by this; 1 is upright",
        none="any angle",
        low=1,
        high=3600,
        soft_high=24,
        begin=8,
        page="limits",
    )
    keep_in: str | None = gray_picture("Keep In", "sprites draw only where it is white", page="limits")
    keep_out: str | None = gray_picture("Keep Out", "sprites draw only where it is black", page="limits")
    inside_outline: bool = setting(
        False, "Inside Outline", "Sprites draw nowhere beyond the outline of a transparent target", page="limits"
    )
    """The outline is that of the target's own alpha, under `target_mask`."""
    min_visibility: float = share(
        "Visible Share", "How much of every sprite is seen at least when all are laid down", high=0.9, page="limits"
    )
    """Of what a sprite would show alone at full opacity, what the sprites above it and the canvas's edge leave: at most
    0.9 times `alpha_max`. Where there is no room for that, the report says how many are ``hidden``. A film's later
    frames are only fitted towards it."""
    preferred_visibility: float = share(
        "Preferred Share", "How much of every sprite the fit tries to show; none is dropped for it", page="limits"
    )
    """At least a quarter more than `min_visibility`."""
    max_overlap: float | None = setting(
        None,
        "Max Layers",
        "Layers over a point, on average, above which the fit is pushed back",
        none="any number",
        above=0,
        soft_high=5,
        begin=2,
        unit="layers",
        page="limits",
    )
    """Of the target's points, with faint layers counted as much as they are opaque. The report says what it came to
    (``layers``)."""
    even_coverage: float = share(
        "Even Layers", "How much the fit cares for as many layers here as there", page="limits"
    )
    cover: float = share("Cover", "How much the fit cares that no bare background shows between sprites", page="limits")
    """Where the target is. A transparent background never shows: there it changes nothing."""
    text: str | None = setting(
        None,
        "Text",
        "Letters or words to build with, instead of the bitmaps or beside them",
        check=rules.text_rule,
        page="main",
    )
    font: str | None = setting(
        None,
        "Font",
        "The font file of the text, TrueType or OpenType",
        none="a plain one that has the letters of English only",
        path="file",
        rule="the path of a font file",
        page="main",
    )
    text_split: TextSplit = setting(
        "glyphs", "Split", "What of the text is one bitmap", choices=TEXT_SPLITS, page="main"
    )
    """Letters or words that are there twice are one bitmap."""
    text_file: str | None = setting(
        None,
        "Text File",
        "A file with the text, or lyrics (.lrc), whose times are left out",
        path="file",
        rule="the path of a text",
        page="main",
    )
    text_cards: bool = setting(
        False, "Cards", "Each letter or word on a card of its own, so that neighbors do not swallow it", page="main"
    )
    text_order: TextOrder = setting(
        "free", "Order", "Where the text's letters or words go", choices=TEXT_ORDERS, page="main"
    )
    """In reading order they take small steps only, and `count` follows from the text."""
    start: str | None = setting(
        None,
        "Start",
        "A file (JSON) of the sprites to start with: a list of x, y, size, angle and template",
        path="file",
        rule="the path of a JSON file",
    )
    """`count` follows from it. See `smalti.engine.job.placement.StartFile`."""
    max_uses: int | None = mosaic.max_uses
    use_all: bool = mosaic.use_all
    min_distance: float = mosaic.min_distance
    mirror: bool = mosaic.mirror
    """Mirror images of a bitmap and itself are one bitmap for `max_uses`, `use_all` and `min_distance`."""
    grid: str | None = mosaic.grid
    """`count` follows from it, and only tints change. See `smalti.engine.job.grid`."""
    grid_jitter: float = mosaic.grid_jitter
    scraps: int | None = mosaic.scraps
    loss: str = setting(
        "mse", "Likeness", f"What the fit minimizes: {rules.LOSS}, of {', '.join(TERMS)}", check=rules.loss_rule
    )
    """See `smalti.bridge.loss`."""
    loss_weights_file: str | None = setting(
        None,
        "VGG Weights",
        "The weights of VGG16 as torchvision saves them, for the term vgg",
        path="file",
        rule="the path of VGG16's weights for the term vgg",
        page=None,
        flag="--vgg-weights",
    )
    """A state dict; only and always for a loss with that term."""
    lighten: float = share("Lighten", "How far the target's colors are moved toward white before it is rebuilt")
    """In ink on white paper, a dark target would leave no paper bare."""
    weight_map: str | None = gray_picture("Weight Map", "white matters, black does not")
    detail_weight: float = share(
        "Detail Weight", "How much more the busy parts of the target count than the flat ones; 0 counts all alike"
    )
    regions: tuple[RegionSpec, ...] = setting(
        (),
        "Regions",
        "Parts of the picture with sprites of their own, the lowest first",
        check=rules.regions_rule,
        page="regions",
        flag="--region",
        metavar="SETTINGS",
    )
    """Their masks may overlap."""
    seed: int = setting(
        0,
        "Seed",
        "Another number, another arrangement; the same number, the same result",
        low=0,
        high=2**63 - 1,
        rule="from 0 to 2**63 - 1",
        page="main",
    )
    """One seed, one machine: the same result bit for bit."""
    device: Device = setting("auto", "Device", "What computes", choices=DEVICES)

    def checked(self) -> JobSpec:
        """Return self, or raise SmaltiError (code ``"bad_setting"``) that names the first setting that cannot be."""
        check_ranges(self)
        for number, region in enumerate(self.regions, 1):
            check_ranges(region, number)
        check_together(self)
        return self

    @property
    def background_is_file(self) -> bool:
        """Whether `background` is the path of an image."""
        return self.background not in ("auto", "transparent") and not self.background.startswith("#")

    @property
    def needs_bitmaps(self) -> bool:
        """Whether any sprites are made of the job's own bitmaps, and not only of those of regions."""
        return needs_bitmaps(self.count, (region.primitives for region in self.regions))

    @property
    def paths(self) -> dict[str, str]:
        """The path of every file and folder that the job reads, by what to call it."""
        found = paths_of(self)
        if self.background_is_file:
            found["background"] = self.background
        for number, region in enumerate(self.regions, 1):
            found |= {f"{name} of region {number}": path for name, path in paths_of(region).items()}
        return found

    def with_paths(self, change: Callable[[str], str]) -> JobSpec:
        """The job with every path changed."""
        background = change(self.background) if self.background_is_file else self.background
        regions = tuple(with_paths(region, change) for region in self.regions)
        return dataclasses.replace(with_paths(self, change), background=background, regions=regions)


def setting_at(key: str) -> Setting:
    """The setting with a key as in `bridge.errors.named`: ``"min_size"``, or ``"regions.min_size"`` of a region."""
    region, _, name = key.rpartition(".")
    return settings_of(RegionSpec if region else JobSpec)[name]
