// SPDX-License-Identifier: Apache-2.0
#include "core/store/etcd_store.h"

#include "core/base/file.h"
#include "core/base/sha1.h"
#include "core/store/transfer.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>
#include <filesystem>

namespace vfskit::store {

using nlohmann::json;

namespace {

constexpr std::size_t max_cache_bytes = 64 << 20;

Error changed_meanwhile(const std::string& url) {
    return Error{ESTALE,
                 fmt::format("The mappings in '{}' were changed by somebody else since they were "
                             "read",
                             url)}
        .with_remedy("Read them again and repeat the change");
}

/// Unlike any other: what tells our change from that of another writer.
std::string random_name() {
    std::array<unsigned char, 16> bytes{};
    if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
        return fmt::format("{}-{}", ::getpid(), std::time(nullptr));
    }
    std::string name;
    for (const auto byte : bytes) {
        name += fmt::format("{:02x}", byte);
    }
    return name;
}

std::string utc(std::time_t time) {
    return fmt::format("{:%Y-%m-%d %H:%M:%S} UTC", fmt::gmtime(time));
}

} // namespace

/// What was read, from etcd or from the cache.
struct EtcdStore::Content {
    std::vector<EtcdPair> pairs; ///< the mappings' keys without the prefix, by key
    std::int64_t revision = 0;   ///< etcd's when it was read; 0 from the cache
    std::int64_t head_revision = 0;
    std::vector<Notice> notices;

    [[nodiscard]] std::string digest() const {
        std::string all;
        for (const auto& pair : pairs) {
            all +=
                fmt::format("{}:{}{}:{}", pair.key.size(), pair.key, pair.value.size(), pair.value);
        }
        return base::sha1_hex(all);
    }
    [[nodiscard]] bool is_cached() const { return revision == 0; }
};

EtcdStore::EtcdStore(std::string url, EtcdUrl parsed)
    : url_{std::move(url)}, client_{std::move(parsed)} {}

std::string EtcdStore::cache_path() const {
    return fmt::format("{}/etcd-{}.json", client_.url().cache_directory, base::sha1_hex(url_));
}

Result<EtcdStore::Content> EtcdStore::read() {
    const auto& prefix = client_.url().prefix;
    const auto mappings = prefix + "/mappings/";
    const auto head = prefix + "/head";
    // Two ranges, not the whole prefix: facts are large. The head is read first, so that a change
    // between the two is found by the next commit.
    VFSKIT_TRY_ASSIGN(const auto heads, client_.range(head));
    VFSKIT_TRY_ASSIGN(auto range, client_.range(mappings));
    Content content;
    content.revision = heads.revision;
    for (const auto& pair : heads.pairs) {
        if (pair.key == head) {
            content.head_revision = pair.mod_revision;
        }
    }
    content.pairs = std::move(range.pairs);
    for (auto& pair : content.pairs) {
        pair.key.erase(0, mappings.size());
    }
    return content;
}

void EtcdStore::write_cache(const Content& content) const {
    json pairs = json::array();
    for (const auto& pair : content.pairs) {
        pairs.push_back({to_base64(pair.key), to_base64(pair.value)});
    }
    const json cache{{"kind", "etcd-cache"}, {"version", 1}, {"url", url_}, {"pairs", pairs}};
    std::error_code failed;
    std::filesystem::create_directories(client_.url().cache_directory, failed);
    // Without a cache reading still works; only an outage is worse. Not root: no cache.
    (void)base::replace_file(
        cache_path(),
        cache.dump(-1, ' ', false, json::error_handler_t::replace),
        {.mode = 0644, .temp_suffix = fmt::format(".{}.tmp", ::getpid()), .sync = false});
}

Result<EtcdStore::Content> EtcdStore::read_cache(const Error& unreachable) const {
    const auto path = cache_path();
    const auto text = base::read_file(path, max_cache_bytes);
    struct stat file {};
    const auto cache = text ? json::parse(*text, nullptr, false) : json{};
    if (!cache.is_object() || cache.value("kind", "") != "etcd-cache" ||
        cache.value("version", 0) != 1 || ::stat(path.c_str(), &file) != 0) {
        return Error{unreachable}.under("Nothing was ever read on this node, and now");
    }
    Content content;
    for (const auto& pair : cache.value("pairs", json::array())) {
        if (!pair.is_array() || pair.size() != 2 || !pair[0].is_string() || !pair[1].is_string()) {
            return Error{EBADMSG, "The copy of the last state is damaged"}.at({path, 0, {}});
        }
        VFSKIT_TRY_ASSIGN(auto key, from_base64(pair[0].get_ref<const std::string&>()));
        VFSKIT_TRY_ASSIGN(auto value, from_base64(pair[1].get_ref<const std::string&>()));
        content.pairs.push_back({.key = std::move(key), .value = std::move(value)});
    }
    content.notices.push_back(
        {.place = {path, 0, {}},
         .message = fmt::format("etcd cannot be reached; these are the mappings as this node last "
                                "saw them change, at {}, and they may be old: {}",
                                utc(file.st_mtime),
                                unreachable.message())});
    return content;
}

Snapshot EtcdStore::make_snapshot(const Content& content) const {
    Snapshot snapshot{.revision = {content.digest()},
                      .mappings = {},
                      .notices = content.notices,
                      .is_old = content.is_cached()};
    for (const auto& pair : content.pairs) {
        const auto place = fmt::format("{}/mappings/{}", url_.substr(0, url_.find('?')), pair.key);
        auto document = parse_document(pair.value, place);
        if (!document) {
            snapshot.notices.push_back(
                {.place = {place, 0, {}},
                 .message = "The mapping cannot be read: " + document.error().message()});
            continue;
        }
        std::ranges::move(document->notices, std::back_inserter(snapshot.notices));
        for (auto& mapping : document->mappings) {
            if (mapping.id == pair.key) {
                snapshot.mappings.push_back(std::move(mapping));
            } else {
                snapshot.notices.push_back(
                    {.place = {place, 0, {}},
                     .message =
                         fmt::format("It holds a mapping '{}', which is ignored", mapping.id)});
            }
        }
    }
    return snapshot;
}

Result<Snapshot> EtcdStore::snapshot() {
    auto content = read();
    if (!content && content.error().code() == EHOSTUNREACH) {
        content = read_cache(content.error());
    } else if (content) {
        if (auto digest = content->digest(); digest != cached_) {
            write_cache(*content);
            cached_ = std::move(digest);
        }
    }
    if (!content) {
        return std::move(content).error().under(fmt::format("Store '{}'", url_));
    }
    return make_snapshot(*content);
}

Result<Revision> EtcdStore::commit(const Revision& expected, const std::vector<Edit>& edits) {
    auto content = read();
    if (!content) {
        return std::move(content).error().under(fmt::format("Nothing was changed in '{}'", url_));
    }
    if (content->digest() != expected.text) {
        return changed_meanwhile(url_);
    }
    const auto& prefix = client_.url().prefix;
    auto after = *content;
    for (const auto& edit : edits) {
        const auto* put = std::get_if<PutMapping>(&edit);
        const auto& id = put != nullptr ? put->mapping.id : std::get<RemoveMapping>(edit).id;
        std::erase_if(after.pairs, [&](const EtcdPair& pair) { return pair.key == id; });
        if (put != nullptr) {
            VFSKIT_TRY(mapping::validate(put->mapping, mapping::Rules::pve));
            VFSKIT_TRY_ASSIGN(auto value, export_mappings({put->mapping}, DocumentFormat::json));
            after.pairs.push_back({.key = id, .value = std::move(value)});
        }
    }
    std::ranges::sort(after.pairs, {}, &EtcdPair::key);
    EtcdTxn txn{.range = prefix + "/mappings/",
                .unchanged_since = content->revision,
                .head = prefix + "/head",
                .head_revision = content->head_revision,
                .head_value = random_name(),
                .puts = {},
                .removes = {}};
    const auto value_of = [](const Content& in, const std::string& key) -> const std::string* {
        const auto found = std::ranges::find(in.pairs, key, &EtcdPair::key);
        return found == in.pairs.end() ? nullptr : &found->value;
    };
    for (const auto& pair : after.pairs) {
        const auto* before = value_of(*content, pair.key);
        if (before == nullptr || *before != pair.value) {
            txn.puts.push_back({.key = txn.range + pair.key, .value = pair.value});
        }
    }
    for (const auto& pair : content->pairs) {
        if (value_of(after, pair.key) == nullptr) {
            txn.removes.push_back(txn.range + pair.key);
        }
    }
    if (txn.puts.empty() && txn.removes.empty()) {
        return expected;
    }
    // etcd takes 128 operations a transaction unless it is told otherwise (--max-txn-ops).
    constexpr std::size_t max_operations = 127;
    if (txn.puts.size() + txn.removes.size() > max_operations) {
        return Error{E2BIG,
                     fmt::format("{} mappings cannot be changed in '{}' at once, at most {} can",
                                 txn.puts.size() + txn.removes.size(),
                                 url_,
                                 max_operations)}
            .with_remedy("Change them in smaller parts");
    }
    VFSKIT_TRY_ASSIGN(const bool was_made, client_.commit(txn));
    if (!was_made) {
        return changed_meanwhile(url_);
    }
    write_cache(after);
    cached_ = after.digest();
    return Revision{cached_};
}

Result<bool> EtcdStore::wait_for_change(const Revision& seen, std::chrono::milliseconds timeout) {
    const auto deadline = std::chrono::steady_clock::now() + timeout;
    // Between two looks: so that a watch that broke unheard does not hold us for good.
    constexpr std::chrono::milliseconds longest{30'000};
    constexpr std::chrono::milliseconds pause{500};
    for (;;) {
        const auto content = read();
        if (content && content->digest() != seen.text) {
            return true;
        }
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
            deadline - std::chrono::steady_clock::now());
        if (left.count() <= 0) {
            return false;
        }
        if (!content && content.error().code() != EHOSTUNREACH) {
            return Error{content.error()};
        }
        if (content) {
            VFSKIT_TRY_ASSIGN(const bool woken,
                              client_.watch(client_.url().prefix + "/mappings/",
                                            content->revision,
                                            std::min(left, longest)));
            if (woken) {
                continue;
            }
        }
        const auto rest = std::chrono::duration_cast<std::chrono::milliseconds>(
            deadline - std::chrono::steady_clock::now());
        if (!content && rest.count() > 0) {
            ::usleep(static_cast<useconds_t>(std::min(rest, pause).count() * 1000));
        }
    }
}

namespace {

class EtcdFacts final : public FactsStore {
public:
    EtcdFacts(std::string url, EtcdUrl parsed) : url_{std::move(url)}, client_{std::move(parsed)} {}

    [[nodiscard]] std::string place() const override { return fmt::format("etcd '{}'", url_); }

    Result<void> publish(std::string_view node,
                         std::string_view document,
                         std::chrono::seconds lifetime) override {
        VFSKIT_TRY(mapping::validate_node(node, mapping::Rules::pve));
        if (document.size() > max_facts_bytes) {
            return Error{EFBIG,
                         fmt::format("The facts of this node take {} bytes, at most {} are stored",
                                     document.size(),
                                     max_facts_bytes)};
        }
        return client_.put_for(key_of(node), std::string{document}, lifetime);
    }
    Result<std::optional<std::string>> read(std::string_view node) override {
        VFSKIT_TRY(mapping::validate_node(node, mapping::Rules::pve));
        VFSKIT_TRY_ASSIGN(auto range, client_.range(key_of(node)));
        for (auto& pair : range.pairs) {
            if (pair.key == key_of(node)) {
                return std::optional{std::move(pair.value)};
            }
        }
        return std::optional<std::string>{};
    }
    Result<std::vector<PublishedFacts>> read_all() override {
        VFSKIT_TRY_ASSIGN(auto range, client_.range(key_of("")));
        std::vector<PublishedFacts> all;
        for (auto& pair : range.pairs) {
            all.push_back(
                {.node = pair.key.substr(key_of("").size()), .document = std::move(pair.value)});
        }
        return all;
    }
    Result<void> withdraw(std::string_view node) override {
        VFSKIT_TRY(mapping::validate_node(node, mapping::Rules::pve));
        return client_.remove(key_of(node));
    }

private:
    [[nodiscard]] std::string key_of(std::string_view node) const {
        return fmt::format("{}/facts/{}", client_.url().prefix, node);
    }

    std::string url_;
    EtcdClient client_;
};

} // namespace

Result<std::unique_ptr<MappingStore>> open_etcd_store(std::string_view url) {
    VFSKIT_TRY_ASSIGN(auto parsed, parse_etcd_url(url));
    return std::unique_ptr<MappingStore>{
        std::make_unique<EtcdStore>(std::string{url}, std::move(parsed))};
}

Result<std::unique_ptr<FactsStore>> open_etcd_facts(std::string_view url) {
    VFSKIT_TRY_ASSIGN(auto parsed, parse_etcd_url(url));
    return std::unique_ptr<FactsStore>{
        std::make_unique<EtcdFacts>(std::string{url}, std::move(parsed))};
}

} // namespace vfskit::store
