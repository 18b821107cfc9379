// SPDX-License-Identifier: Apache-2.0
// What the runtimes of the presets asan and tsan do in the daemon, however it is started;
// ASAN_OPTIONS and TSAN_OPTIONS override it. In no other build.

// NOLINTBEGIN(bugprone-reserved-identifier): the names that the runtimes look for.

/// At its end the leak detector traces the process from a child, which the seccomp filter kills;
/// then it waits for the child without end. For a daemon with --seccomp=none:
/// ASAN_OPTIONS=detect_leaks=1.
extern "C" const char* __asan_default_options() {
    return "detect_leaks=0";
}

/// A data race ends the daemon, so that the test that caused it fails.
extern "C" const char* __tsan_default_options() {
    return "halt_on_error=1";
}

// NOLINTEND(bugprone-reserved-identifier)
