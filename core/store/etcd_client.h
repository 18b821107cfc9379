// SPDX-License-Identifier: Apache-2.0
// etcd's version 3 interface, as far as a store needs it, over its JSON gateway. Internal to the
// room store.
#pragma once

#include "core/base/result.h"
#include "core/store/etcd_url.h"
#include "core/store/http.h"

#include <nlohmann/json_fwd.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vfskit::store {

struct EtcdPair {
    std::string key;
    std::string value;
    std::int64_t mod_revision = 0;
};

struct EtcdRange {
    std::int64_t revision = 0;   ///< of the whole etcd when it was read
    std::vector<EtcdPair> pairs; ///< by key
};

/// A transaction that is carried out only if no key of `range` was changed after `unchanged_since`
/// and `head` was last changed at `head_revision` (0: it does not exist).
struct EtcdTxn {
    std::string range; ///< prefix
    std::int64_t unchanged_since = 0;
    std::string head;
    std::int64_t head_revision = 0;
    std::string head_value; ///< what becomes of head: unlike any other writer's
    std::vector<EtcdPair> puts;
    std::vector<std::string> removes;
};

/// One thread. Every call asks the endpoints in turn, beginning with the one that last answered,
/// until one answers; EHOSTUNREACH when none does, which includes a cluster without a quorum.
class EtcdClient {
public:
    explicit EtcdClient(EtcdUrl url) : url_{std::move(url)} {}

    /// All keys that begin with `prefix`, as a quorum has them.
    Result<EtcdRange> range(const std::string& prefix);
    /// True if it was carried out, exactly once, whatever happened to connections; false if a
    /// condition did not hold. EHOSTUNREACH says in its message whether it may have been.
    Result<bool> commit(const EtcdTxn& txn);
    /// A key that etcd forgets `lifetime` after now.
    Result<void>
    put_for(const std::string& key, const std::string& value, std::chrono::seconds lifetime);
    Result<void> remove(const std::string& key);
    /// Waits for a change below `prefix` after `revision`; false after `timeout`, or when the
    /// member that was asked goes away before.
    Result<bool>
    watch(const std::string& prefix, std::int64_t revision, std::chrono::milliseconds timeout);

    [[nodiscard]] const EtcdUrl& url() const { return url_; }
    /// Tests put a fake there.
    void set_http(std::unique_ptr<Http> http) { http_ = std::move(http); }

private:
    struct Call {
        std::string path;
        std::string body;
        std::chrono::milliseconds timeout{5000};
        std::function<bool(std::string_view)> on_data = {};
    };
    Result<void> connect();
    Result<void> log_in(const std::string& endpoint);
    Result<nlohmann::json> call(const Call& call);
    Result<nlohmann::json> call_endpoint(const std::string& endpoint, const Call& call);

    EtcdUrl url_;
    std::unique_ptr<Http> http_;
    std::optional<std::string> token_;
    std::size_t first_ = 0; ///< the endpoint that last answered
};

/// RFC 4648, with padding.
std::string to_base64(std::string_view bytes);
/// EBADMSG for anything else.
Result<std::string> from_base64(std::string_view text);

} // namespace vfskit::store
