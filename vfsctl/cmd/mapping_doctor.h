// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/store/doctor.h"
#include "vfsctl/cli/verb.h"

#include <string>
#include <vector>

namespace vfskit::vfsctl {

struct MappingDoctorOptions {
    bool fix = false;
    bool dry_run = false;
    std::vector<std::string> only; ///< codes
};

Verb mapping_doctor_verb();
Result<ExitCode> run_mapping_doctor(const MappingDoctorOptions& options, Services& services);

} // namespace vfskit::vfsctl
