// SPDX-License-Identifier: Apache-2.0
// A daemon's counters in Prometheus' text exposition format 0.0.4; every name begins with
// vfskit_virtiofsd_.
#pragma once

#include "core/control/status.h"

#include <span>
#include <string>

namespace vfskit::control {

/// What one daemon tells: no labels say which daemon it is, its scraper knows.
[[nodiscard]] std::string to_prometheus(const Status& status);

/// A status with the place of the daemon that it is of.
struct PlacedStatus {
    std::string vm;
    std::string tag;
    Status status;
};

/// Several daemons in one text: every sample carries the labels vm and tag. No daemon gives the
/// heads of the metrics without samples.
[[nodiscard]] std::string to_prometheus(std::span<const PlacedStatus> daemons);

} // namespace vfskit::control
