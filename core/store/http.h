// SPDX-License-Identifier: Apache-2.0
// HTTP as etcd's gateway needs it. libcurl and the thirty libraries behind it are loaded by the
// first request, so that commands that ask no etcd do not pay for them. Internal to the room store.
#pragma once

#include "core/base/result.h"

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace vfskit::store {

struct HttpRequest {
    std::string url;
    std::string body;                 ///< JSON, sent with POST
    std::optional<std::string> token; ///< for the header "Authorization"
    std::chrono::milliseconds timeout{5000};
    /// Gets the pieces of the answer as they come; false ends the request, which is then a success.
    std::function<bool(std::string_view)> on_data;
};

struct HttpAnswer {
    long status = 0;
    std::string body; ///< empty when on_data was given
};

struct TlsFiles {
    std::optional<std::string> ca;
    std::optional<std::string> cert;
    std::optional<std::string> key;
};

class Http {
public:
    virtual ~Http() = default;
    /// EHOSTUNREACH: nobody answers there, nothing was sent; EPROTO: it broke later, and what was
    /// asked may have been done; ETIMEDOUT likewise; EACCES: TLS was refused.
    virtual Result<HttpAnswer> post(const HttpRequest& request) = 0;
};

/// ENOENT with the package to install when libcurl is missing.
Result<std::unique_ptr<Http>> open_http(TlsFiles tls);

} // namespace vfskit::store
