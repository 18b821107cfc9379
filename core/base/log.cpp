// SPDX-License-Identifier: Apache-2.0
#include "core/base/log.h"

namespace vfskit::base {

namespace {

class NullLogSink final : public LogSink {
public:
    [[nodiscard]] bool is_enabled(LogLevel /*level*/) const override { return false; }
    void write(LogLevel /*level*/, std::string_view /*line*/) override {}
};

} // namespace

LogSink& null_log_sink() {
    static NullLogSink sink;
    return sink;
}

} // namespace vfskit::base
