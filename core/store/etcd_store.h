// SPDX-License-Identifier: Apache-2.0
// Mappings, and what nodes publish, in etcd.
//
// Below PREFIX: mappings/ID holds one mapping as a document of docs/mappings-yaml.md in JSON, head
// names the last writer, facts/NODE holds a node's facts and is forgotten with its lease.
#pragma once

#include "core/store/etcd_client.h"
#include "core/store/facts_store.h"
#include "core/store/store.h"

#include <memory>
#include <string>
#include <string_view>

namespace vfskit::store {

/// While no member answers, snapshot() gives what was last read here, with a Notice that says so
/// and from when it is, and commit() refuses with EHOSTUNREACH. Revisions are digests of keys and
/// values.
class EtcdStore final : public MappingStore {
public:
    EtcdStore(std::string url, EtcdUrl parsed);

    [[nodiscard]] std::string url() const override { return url_; }
    Result<Snapshot> snapshot() override;
    Result<Revision> commit(const Revision& expected, const std::vector<Edit>& edits) override;
    Result<bool> wait_for_change(const Revision& seen, std::chrono::milliseconds timeout) override;

    /// Tests put a fake there.
    [[nodiscard]] EtcdClient& client() { return client_; }

private:
    struct Content;
    Result<Content> read();
    [[nodiscard]] Result<Content> read_cache(const Error& unreachable) const;
    void write_cache(const Content& content) const;
    [[nodiscard]] std::string cache_path() const;
    [[nodiscard]] Snapshot make_snapshot(const Content& content) const;

    std::string url_;
    EtcdClient client_;
    std::string cached_; ///< digest of what the cache on disk holds
};

Result<std::unique_ptr<MappingStore>> open_etcd_store(std::string_view url);
Result<std::unique_ptr<FactsStore>> open_etcd_facts(std::string_view url);

} // namespace vfskit::store
