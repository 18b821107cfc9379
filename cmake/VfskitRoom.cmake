# SPDX-License-Identifier: Apache-2.0
# vfskit_room(<name> [DEPENDS <room>...] [PUBLIC_LIBS <lib>...] [PRIVATE_LIBS <lib>...])
#
# A room of core/: every *.cpp of the current folder in one static library vfskit_<name>, every *.h in
# its verified header set. DEPENDS lists the rooms it may include; the test architecture.includes holds
# the same table for the #include lines, because a linker does not see an upward include.
function(vfskit_room name)
  cmake_parse_arguments(ARG "" "" "DEPENDS;PUBLIC_LIBS;PRIVATE_LIBS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS *.cpp)
  file(GLOB headers CONFIGURE_DEPENDS *.h)
  add_library(vfskit_${name} STATIC ${sources})
  target_sources(vfskit_${name} PUBLIC
    FILE_SET HEADERS BASE_DIRS ${PROJECT_SOURCE_DIR} FILES ${headers})
  list(TRANSFORM ARG_DEPENDS PREPEND vfskit_)
  target_link_libraries(vfskit_${name}
    PUBLIC ${ARG_DEPENDS} ${ARG_PUBLIC_LIBS}
    PRIVATE ${ARG_PRIVATE_LIBS} vfskit_warnings)
endfunction()
