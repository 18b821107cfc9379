// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <thread>

namespace vfskit::vhost_user {

/// A thread with a name (at most 15 bytes, for ps and gdb) and every signal blocked: signals are
/// for the program's main thread.
std::thread start_service_thread(const char* name, std::function<void()> body);

} // namespace vfskit::vhost_user
