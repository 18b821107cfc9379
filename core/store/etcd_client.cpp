// SPDX-License-Identifier: Apache-2.0
#include "core/store/etcd_client.h"

#include "core/base/file.h"
#include "core/base/text.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cerrno>

namespace vfskit::store {

using nlohmann::json;

namespace {

constexpr std::size_t max_password_file = 4096;

/// The first key behind all that begin with `prefix`.
std::string range_end(std::string prefix) {
    while (!prefix.empty()) {
        auto& last = prefix.back();
        if (static_cast<unsigned char>(last) != 0xFF) {
            ++last;
            return prefix;
        }
        prefix.pop_back();
    }
    return std::string(1, '\0'); // all keys
}

json key_range(const std::string& prefix) {
    return {{"key", to_base64(prefix)}, {"range_end", to_base64(range_end(prefix))}};
}

/// 64-bit numbers come as texts; zero is left out.
std::int64_t number(const json& object, const char* name) {
    const auto found = object.find(name);
    if (found == object.end() || !found->is_string()) {
        return 0;
    }
    return static_cast<std::int64_t>(
        base::parse_unsigned(found->get_ref<const std::string&>(), name, INT64_MAX)
            .value_or(std::uint64_t{0}));
}

std::string text(const json& object, const char* name) {
    const auto found = object.find(name);
    return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

Result<EtcdRange> parse_range(const json& answer) {
    EtcdRange range;
    range.revision = number(answer.value("header", json::object()), "revision");
    for (const auto& pair : answer.value("kvs", json::array())) {
        VFSKIT_TRY_ASSIGN(auto key, from_base64(text(pair, "key")));
        VFSKIT_TRY_ASSIGN(auto value, from_base64(text(pair, "value")));
        range.pairs.push_back({.key = std::move(key),
                               .value = std::move(value),
                               .mod_revision = number(pair, "mod_revision")});
    }
    std::ranges::sort(range.pairs, {}, &EtcdPair::key);
    return range;
}

/// A member that cannot serve now; another one may. Codes of gRPC.
bool is_unavailable(long status, std::int64_t grpc_code) {
    constexpr std::int64_t deadline_exceeded = 4;
    constexpr std::int64_t unavailable = 14;
    return grpc_code == unavailable || grpc_code == deadline_exceeded || status == 502 ||
           status == 503 || status == 504;
}

Error refused(const std::string& endpoint, long status, const json& answer) {
    auto said = text(answer, "message");
    said = said.empty() ? text(answer, "error") : said;
    const bool may_not = status == 401 || status == 403 ||
                         said.find("permission denied") != std::string::npos ||
                         said.find("user name is empty") != std::string::npos ||
                         said.find("authentication failed") != std::string::npos;
    Error error{may_not ? EACCES : EPROTO,
                fmt::format("etcd at {} answers {}: {}", endpoint, status, said)};
    return may_not
               ? std::move(error).with_remedy(
                     "Give the store's URL a user with a role for its prefix and a password-file")
               : error;
}

} // namespace

std::string to_base64(std::string_view bytes) {
    constexpr std::string_view digits =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string text;
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        std::uint32_t group = 0;
        const auto count = std::min<std::size_t>(3, bytes.size() - i);
        for (std::size_t j = 0; j < 3; ++j) {
            group = group << 8 | (j < count ? static_cast<unsigned char>(bytes[i + j]) : 0U);
        }
        for (std::size_t j = 0; j < 4; ++j) {
            text += j <= count ? digits[group >> (18 - 6 * j) & 63] : '=';
        }
    }
    return text;
}

Result<std::string> from_base64(std::string_view text) {
    const auto value_of = [](char c) -> int {
        if (c >= 'A' && c <= 'Z') {
            return c - 'A';
        }
        if (c >= 'a' && c <= 'z') {
            return c - 'a' + 26;
        }
        if (c >= '0' && c <= '9') {
            return c - '0' + 52;
        }
        return c == '+' ? 62 : c == '/' ? 63 : -1;
    };
    std::string bytes;
    std::uint32_t bits = 0;
    int count = 0;
    const auto end = std::min(text.find('='), text.size());
    if (text.size() % 4 != 0 || text.size() - end > 2) {
        return Error{EBADMSG, "etcd's answer holds bad base64"};
    }
    for (const char c : text.substr(0, end)) {
        const int value = value_of(c);
        if (value < 0) {
            return Error{EBADMSG, "etcd's answer holds bad base64"};
        }
        bits = bits << 6 | static_cast<std::uint32_t>(value);
        count += 6;
        if (count >= 8) {
            count -= 8;
            bytes += static_cast<char>(bits >> count & 0xFF);
        }
    }
    return bytes;
}

Result<void> EtcdClient::connect() {
    if (http_ == nullptr) {
        VFSKIT_TRY_ASSIGN(http_, open_http({.ca = url_.ca, .cert = url_.cert, .key = url_.key}));
    }
    return {};
}

Result<void> EtcdClient::log_in(const std::string& endpoint) {
    VFSKIT_TRY_ASSIGN(const auto content, base::read_file(*url_.password_file, max_password_file));
    const json body{{"name", *url_.user},
                    {"password", std::string{base::trim(content.substr(0, content.find('\n')))}}};
    VFSKIT_TRY_ASSIGN(const auto answer,
                      http_->post({.url = endpoint + "/v3/auth/authenticate",
                                   .body = body.dump(),
                                   .token = {},
                                   .timeout = std::chrono::seconds{5},
                                   .on_data = {}}));
    const auto parsed = json::parse(answer.body, nullptr, false);
    if (answer.status != 200 || !parsed.is_object() || text(parsed, "token").empty()) {
        const auto code = parsed.is_object() ? parsed.value("code", std::int64_t{0}) : 0;
        if (is_unavailable(answer.status, code)) {
            return Error{EHOSTUNREACH, endpoint + " cannot serve now"};
        }
        return refused(endpoint, answer.status, parsed.is_object() ? parsed : json::object());
    }
    token_ = text(parsed, "token");
    return {};
}

Result<json> EtcdClient::call_endpoint(const std::string& endpoint, const Call& call) {
    for (int attempt = 0;; ++attempt) {
        if (url_.user && !token_) {
            VFSKIT_TRY(log_in(endpoint));
        }
        VFSKIT_TRY_ASSIGN(const auto answer,
                          http_->post({.url = endpoint + call.path,
                                       .body = call.body,
                                       .token = token_,
                                       .timeout = call.timeout,
                                       .on_data = call.on_data}));
        if (answer.status == 200 && call.on_data) {
            return json::object();
        }
        auto parsed = json::parse(answer.body, nullptr, false);
        if (!parsed.is_object()) {
            return Error{EPROTO,
                         fmt::format("What answers at {} with status {} is no etcd",
                                     endpoint,
                                     answer.status)};
        }
        if (answer.status == 200) {
            return parsed;
        }
        // A token lives for some minutes, and only as long as its member.
        if (token_ && attempt == 0 && answer.status == 401) {
            token_.reset();
            continue;
        }
        if (is_unavailable(answer.status, parsed.value("code", std::int64_t{0}))) {
            return Error{EHOSTUNREACH, fmt::format("{}: {}", endpoint, text(parsed, "message"))};
        }
        return refused(endpoint, answer.status, parsed);
    }
}

Result<json> EtcdClient::call(const Call& call) {
    VFSKIT_TRY(connect());
    std::string said;
    for (std::size_t i = 0; i < url_.endpoints.size(); ++i) {
        const auto index = (first_ + i) % url_.endpoints.size();
        auto answer = call_endpoint(url_.endpoints[index], call);
        if (answer) {
            first_ = index;
            return answer;
        }
        const int code = answer.error().code();
        if (code != EHOSTUNREACH && code != ETIMEDOUT && code != EPROTO) {
            return answer;
        }
        said += (said.empty() ? "" : "; ") + answer.error().message();
    }
    return Error{EHOSTUNREACH, fmt::format("No member of etcd answers: {}", said)}.with_remedy(
        "See whether more than half of the members run: 'etcdctl endpoint status --cluster'");
}

Result<EtcdRange> EtcdClient::range(const std::string& prefix) {
    VFSKIT_TRY_ASSIGN(const auto answer,
                      call({.path = "/v3/kv/range", .body = key_range(prefix).dump()}));
    return parse_range(answer);
}

Result<bool> EtcdClient::commit(const EtcdTxn& txn) {
    const auto head = to_base64(txn.head);
    auto unchanged = key_range(txn.range);
    unchanged["target"] = "MOD";
    unchanged["result"] = "LESS";
    unchanged["mod_revision"] = std::to_string(txn.unchanged_since + 1);
    json compare = json::array({unchanged,
                                {{"key", head},
                                 {"target", "MOD"},
                                 {"result", "EQUAL"},
                                 {"mod_revision", std::to_string(txn.head_revision)}}});
    json success =
        json::array({{{"requestPut", {{"key", head}, {"value", to_base64(txn.head_value)}}}}});
    for (const auto& pair : txn.puts) {
        success.push_back(
            {{"requestPut", {{"key", to_base64(pair.key)}, {"value", to_base64(pair.value)}}}});
    }
    for (const auto& key : txn.removes) {
        success.push_back({{"requestDeleteRange", {{"key", to_base64(key)}}}});
    }
    const auto body = json{{"compare", compare}, {"success", success}}.dump();
    auto answer = call({.path = "/v3/kv/txn", .body = body});
    if (answer && answer->value("succeeded", false)) {
        return true;
    }
    // A member may have carried it out and gone away before it said so; the next one then found the
    // condition broken by ourselves. The head tells whose change was last.
    const auto now = range(txn.head);
    if (!now) {
        if (!answer) {
            return std::move(answer).error().under("It is not known whether the change was made");
        }
        return false;
    }
    const bool is_ours = std::ranges::any_of(now->pairs, [&](const EtcdPair& pair) {
        return pair.key == txn.head && pair.value == txn.head_value;
    });
    if (!is_ours && !answer) {
        return std::move(answer).error();
    }
    return is_ours;
}

Result<void> EtcdClient::put_for(const std::string& key,
                                 const std::string& value,
                                 std::chrono::seconds lifetime) {
    VFSKIT_TRY_ASSIGN(const auto lease,
                      call({.path = "/v3/lease/grant",
                            .body = json{{"TTL", std::to_string(lifetime.count())}}.dump()}));
    const json body{
        {"key", to_base64(key)}, {"value", to_base64(value)}, {"lease", text(lease, "ID")}};
    VFSKIT_TRY_ASSIGN(const auto answer, call({.path = "/v3/kv/put", .body = body.dump()}));
    (void)answer;
    return {};
}

Result<void> EtcdClient::remove(const std::string& key) {
    VFSKIT_TRY_ASSIGN(
        const auto answer,
        call({.path = "/v3/kv/deleterange", .body = json{{"key", to_base64(key)}}.dump()}));
    (void)answer;
    return {};
}

Result<bool> EtcdClient::watch(const std::string& prefix,
                               std::int64_t revision,
                               std::chrono::milliseconds timeout) {
    auto range = key_range(prefix);
    range["start_revision"] = std::to_string(revision + 1);
    bool has_changed = false;
    std::string line;
    // One JSON object a line; the first says that the watch was made.
    const auto on_data = [&](std::string_view piece) {
        line += piece;
        for (auto end = line.find('\n'); end != std::string::npos; end = line.find('\n')) {
            const auto object = json::parse(line.substr(0, end), nullptr, false);
            line.erase(0, end + 1);
            const auto result =
                object.is_object() ? object.value("result", json::object()) : json::object();
            has_changed =
                has_changed || result.contains("events") || result.value("canceled", false);
        }
        return !has_changed;
    };
    VFSKIT_TRY(connect());
    const auto answer = call_endpoint(url_.endpoints[first_],
                                      {.path = "/v3/watch",
                                       .body = json{{"create_request", range}}.dump(),
                                       .timeout = timeout,
                                       .on_data = on_data});
    if (!answer && answer.error().code() != ETIMEDOUT) {
        first_ = (first_ + 1) % url_.endpoints.size();
        return answer.error().code() == EACCES ? Result<bool>{answer.error()} : has_changed;
    }
    return has_changed;
}

} // namespace vfskit::store
