# SPDX-License-Identifier: Apache-2.0
# Every library comes from Debian's own packages; the list of packages is in tools/install-deps.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(yaml-cpp REQUIRED)
find_package(CLI11 REQUIRED)
find_package(LibXml2 REQUIRED)
pkg_check_modules(libseccomp REQUIRED IMPORTED_TARGET libseccomp)
pkg_check_modules(libcap_ng REQUIRED IMPORTED_TARGET libcap-ng)
pkg_check_modules(libvirt REQUIRED IMPORTED_TARGET libvirt)
pkg_check_modules(libvirt_qemu REQUIRED IMPORTED_TARGET libvirt-qemu)
pkg_check_modules(sdbus REQUIRED IMPORTED_TARGET sdbus-c++)
# yaml-cpp 0.7 (Debian 12) exports "yaml-cpp", 0.8 (Debian 13) "yaml-cpp::yaml-cpp".
if(NOT TARGET yaml-cpp::yaml-cpp)
  add_library(yaml-cpp::yaml-cpp ALIAS yaml-cpp)
endif()
