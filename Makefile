VENV := .venv
BIN := $(VENV)/bin
.PHONY: setup check test demo

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

demo: setup
	$(BIN)/astro-assets demo $(if $(EXIT),--exit)
