VENV := .venv
BIN := $(VENV)/bin
.PHONY: setup check test faults capture-faults crash-sweep soak guards validate bench bench-quick \
  bench-transfers demo

setup: $(VENV)/ready

$(VENV)/ready: pyproject.toml requirements.lock deploy/setup.sh
	sh deploy/setup.sh $(VENV)

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: setup
	$(BIN)/pytest -n 2 --dist loadfile

# Every fault against every source that it can happen to; what was seen goes into the page.
faults: setup
	$(BIN)/pytest astro_assets_tests/faults -n 2 --dist loadfile --faults-table docs/faults.md

# A capture's faults: a night of ten hours with one every five minutes, at a hundred times its pace.
capture-faults: setup
	$(BIN)/python -m astro_assets_tests.capture.capture_faults docs/capture-faults.md

# The proofs: each writes its page below docs/proofs.
crash-sweep soak guards: setup
	$(BIN)/python -m astro_assets_tests.proofs.$(subst -,_,$@) docs/proofs/$@.md

# Run these with the machine to itself: downloads, and the reduction, beside other tools.
bench-transfers: setup
	$(BIN)/python -m astro_assets_tests.proofs.bench docs/proofs/bench.md

bench: setup
	$(BIN)/python -m astro_assets_tests.bench docs/bench.md; reached=$$?; \
	  $(BIN)/python -m astro_assets_tests.bench.growth docs/bench.md && exit $$reached

bench-quick: setup
	$(BIN)/python -m astro_assets_tests.bench --quick

# The reduction against the truth, other tools and real frames: minutes.
validate: setup
	$(BIN)/python -m astro_assets_tests.validation docs/validation.md

demo: setup
	$(BIN)/astro-assets demo $(if $(EXIT),--exit)
