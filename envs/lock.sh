#!/bin/sh
# Renew requirements.lock from pyproject.toml. The two entries of torch (CPU builds, with the PyTorch index's hashes) are
# kept as they are: torch is left out of the resolution, and what its CPU build needs stands in its place.
set -eu
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo "torch ; python_version < '3'" >"$work/override.txt"
printf '%s\n' filelock fsspec jinja2 networkx setuptools sympy typing-extensions >"$work/torch-needs.txt"
awk '/^[a-z]/ && !/^torch/ {exit} {print}' requirements.lock >"$work/lock"
.venv/bin/uv pip compile pyproject.toml "$work/torch-needs.txt" --group test --override "$work/override.txt" \
    --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header --quiet >>"$work/lock"
cp "$work/lock" requirements.lock
