// SPDX-License-Identifier: Apache-2.0
// Marks for functions that every request runs through, between the ring and its system call.
//
// The kernel's protection against speculation (return thunks, retpolines) leaves the CPU's return
// predictor without what it knew of us. So after a system call each return from a function that was
// entered before it is mispredicted: 3 to 5 ns (AMD EPYC with Safe RET, Linux 6.18), where ten
// functions lay between the ring and the call. docs/performance.md has what inlining them gained.
//
// Across source files it takes link-time optimisation (CMAKE_INTERPROCEDURAL_OPTIMIZATION, on in
// the release preset and in the Debian packages), and it ends at virtual calls.
#pragma once

/// Everything that the function calls becomes part of it.
#define VFSKIT_REQUEST_PATH [[gnu::flatten]]

/// Called from there, but rarely, or for long: a call costs nothing beside it, a copy in each
/// caller would.
#define VFSKIT_OUT_OF_LINE [[gnu::noinline]]
