#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# explore.sh FUZZER CORPUS: looks for new inputs for VFSKIT_FUZZ_SECONDS (20), beginning with the corpus. What it
# finds stays in a directory beside the fuzzer, the input of a crash too, and its path is printed.
set -eu
found=$1.found
mkdir -p "$found"
exec "$1" -max_total_time="${VFSKIT_FUZZ_SECONDS:-20}" -timeout=20 -rss_limit_mb=4096 -print_final_stats=1 \
    -artifact_prefix="$found/" "$found" "$2"
