# SPDX-License-Identifier: Apache-2.0
# vfskit_room(<name> [DEPENDS <room>...] [PUBLIC_LIBS <lib>...] [PRIVATE_LIBS <lib>...])
#
# A room of core/: every *.cpp of the current folder in one static library vfskit_<name>, every *.h in
# its header sets (vfskit_headers). DEPENDS lists the rooms it may include; the test architecture.includes holds
# the same table for the #include lines, because a linker does not see an upward include.
function(vfskit_room name)
  cmake_parse_arguments(ARG "" "" "DEPENDS;PUBLIC_LIBS;PRIVATE_LIBS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS *.cpp)
  file(GLOB headers CONFIGURE_DEPENDS *.h)
  add_library(vfskit_${name} STATIC ${sources})
  vfskit_headers(vfskit_${name} ${headers})
  list(TRANSFORM ARG_DEPENDS PREPEND vfskit_)
  target_link_libraries(vfskit_${name}
    PUBLIC ${ARG_DEPENDS} ${ARG_PUBLIC_LIBS}
    PRIVATE ${ARG_PRIVATE_LIBS} vfskit_warnings)
endfunction()

# vfskit_headers(<target> <absolute path>...): each must compile alone. x.h beside an x.cpp is the first thing that
# x.cpp includes (the test architecture.includes holds it to that), so every build that is no unity build shows it:
# dev and the packages. For the others all_verify_interface_header_sets compiles a file that includes nothing else.
function(vfskit_headers target)
  set(headers_without_source ${ARGN})
  foreach(header IN LISTS ARGN)
    string(REGEX REPLACE "\\.h$" ".cpp" source ${header})
    if(EXISTS ${source})
      list(REMOVE_ITEM headers_without_source ${header})
    endif()
  endforeach()
  target_sources(${target} PUBLIC
    FILE_SET HEADERS BASE_DIRS ${PROJECT_SOURCE_DIR} FILES ${ARGN}
    FILE_SET headers_without_source TYPE HEADERS BASE_DIRS ${PROJECT_SOURCE_DIR} FILES ${headers_without_source})
  set_target_properties(${target} PROPERTIES INTERFACE_HEADER_SETS_TO_VERIFY headers_without_source)
endfunction()

# vfskit_compile_alone(<file>...): these files of the current folder's target never share a compiler run with others of
# it. With CMAKE_UNITY_BUILD (presets test, asan, tsan and fuzz) a run takes several files, in half the time; a file
# stands here because another one has something else of the same name.
function(vfskit_compile_alone)
  set_source_files_properties(${ARGN} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
endfunction()
