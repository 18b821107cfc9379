# SPDX-License-Identifier: Apache-2.0
# One set of warnings for all our code. They become errors in CI and in the presets (VFSKIT_WERROR),
# so that a release tarball still builds with tomorrow's compiler.
option(VFSKIT_WERROR "Treat compiler warnings as errors" OFF)
add_library(vfskit_warnings INTERFACE)
target_compile_options(vfskit_warnings INTERFACE
  -Wall -Wextra -Wconversion -Wswitch-enum -Wnon-virtual-dtor -Wshadow
  $<$<CXX_COMPILER_ID:Clang>:-Wthread-safety>
  $<$<BOOL:${VFSKIT_WERROR}>:-Werror>)
