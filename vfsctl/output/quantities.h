// SPDX-License-Identifier: Apache-2.0
// Quantities as a table shows them: at most five characters of number, then a unit.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace vfskit::vfsctl {

/// "0", "950", "1.2k", "35M": of anything that is counted.
std::string short_count(double count);
/// "0 B", "950 B", "1.2 KiB", "35 MiB".
std::string short_bytes(double bytes);
/// "640 ns", "35 µs", "1.2 ms", "3 s".
std::string short_duration(std::chrono::nanoseconds duration);
/// "12s", "5m 3s", "2h 10m", "3d 4h": how long something runs already.
std::string short_age(std::chrono::milliseconds age);

} // namespace vfskit::vfsctl
