# SPDX-License-Identifier: Apache-2.0
# VFSKIT_SANITIZE is a -fsanitize= list, set by the presets asan, tsan and fuzz.
set(VFSKIT_SANITIZE "" CACHE STRING "Sanitizers, e.g. address,undefined")
if(VFSKIT_SANITIZE)
  add_compile_options(-fsanitize=${VFSKIT_SANITIZE} -fno-omit-frame-pointer)
  # dlopen() is called by the sanitizer's runtime then, to which only a DT_RPATH of the program applies.
  add_link_options(-fsanitize=${VFSKIT_SANITIZE} -Wl,--disable-new-dtags)
  # Instrumented code looks uninitialised to gcc in the standard library's own headers (std::regex of g++ 12);
  # gcc's manual warns of it under -fsanitize. The builds without sanitizers keep the warning.
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    add_compile_options(-Wno-maybe-uninitialized)
  endif()
  if(VFSKIT_SANITIZE MATCHES "undefined")
    add_compile_options(-fno-sanitize-recover=undefined)
  endif()
endif()
option(VFSKIT_FUZZ "Build the libFuzzer targets (needs clang)" OFF)
if(VFSKIT_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
