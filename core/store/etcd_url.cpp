// SPDX-License-Identifier: Apache-2.0
#include "core/store/etcd_url.h"

#include "core/base/text.h"

#include <fmt/format.h>

#include <cerrno>

namespace vfskit::store {

namespace {

constexpr std::string_view plain_scheme = "etcd://";
constexpr std::string_view tls_scheme = "etcds://";
constexpr std::string_view default_port = "2379";

Error unusable(std::string_view url, std::string_view why) {
    return Error{EINVAL, fmt::format("Store '{}' {}", url, why)}.with_remedy(
        "Write etcd://host:2379[,host2:2379]/prefix, or etcds:// with "
        "?ca=FILE&cert=FILE&key=FILE&user=NAME&password-file=FILE as needed");
}

/// "host", "host:1", "[::1]:1" with a port; nothing for what no host looks like.
std::optional<std::string> with_port(std::string_view host) {
    if (host.empty() || host.find_first_of(" \"'\\<>@") != std::string_view::npos) {
        return std::nullopt;
    }
    const auto bracket = host.rfind(']');
    const auto colon = host.rfind(':');
    const bool has_port =
        colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket);
    if (!has_port) {
        return fmt::format("{}:{}", host, default_port);
    }
    const auto port = base::parse_unsigned(host.substr(colon + 1), "Port", 65535);
    return port && colon != 0 ? std::optional{std::string{host}} : std::nullopt;
}

Result<void> take_parameter(EtcdUrl& parsed, std::string_view url, std::string_view parameter) {
    const auto equals = parameter.find('=');
    const auto name = parameter.substr(0, equals);
    const std::string value{equals == std::string_view::npos ? "" : parameter.substr(equals + 1)};
    if (value.empty()) {
        return unusable(url, fmt::format("gives '{}' no value", name));
    }
    if (name == "ca") {
        parsed.ca = value;
    } else if (name == "cert") {
        parsed.cert = value;
    } else if (name == "key") {
        parsed.key = value;
    } else if (name == "user") {
        parsed.user = value;
    } else if (name == "password-file") {
        parsed.password_file = value;
    } else if (name == "cache") {
        parsed.cache_directory = value;
    } else {
        return unusable(url, fmt::format("has the unknown parameter '{}'", name));
    }
    return {};
}

} // namespace

bool is_etcd_url(std::string_view url) {
    return url.starts_with(plain_scheme) || url.starts_with(tls_scheme);
}

Result<EtcdUrl> parse_etcd_url(std::string_view url) {
    if (!is_etcd_url(url)) {
        return unusable(url, "is none of etcd");
    }
    const bool has_tls = url.starts_with(tls_scheme);
    auto rest = url.substr((has_tls ? tls_scheme : plain_scheme).size());
    EtcdUrl parsed;
    if (const auto question = rest.find('?'); question != std::string_view::npos) {
        for (const auto parameter : base::split(rest.substr(question + 1), '&')) {
            VFSKIT_TRY(take_parameter(parsed, url, parameter));
        }
        rest = rest.substr(0, question);
    }
    const auto slash = rest.find('/');
    if (slash != std::string_view::npos) {
        parsed.prefix = rest.substr(slash);
        while (parsed.prefix.ends_with('/')) {
            parsed.prefix.pop_back();
        }
        rest = rest.substr(0, slash);
    }
    if (const auto at = rest.find('@'); at != std::string_view::npos) {
        if (rest.substr(0, at).find(':') != std::string_view::npos) {
            return unusable("etcd://…",
                            "holds a password, which other users of this host could read");
        }
        parsed.user = rest.substr(0, at);
        rest = rest.substr(at + 1);
    }
    for (const auto host : base::split(rest, ',')) {
        const auto authority = with_port(host);
        if (!authority) {
            return unusable(url, fmt::format("has no usable host in '{}'", host));
        }
        parsed.endpoints.push_back((has_tls ? "https://" : "http://") + *authority);
    }
    if (!has_tls && (parsed.ca || parsed.cert || parsed.key)) {
        return unusable(url, "has certificates but no TLS: it would have to begin with etcds://");
    }
    if (parsed.cert.has_value() != parsed.key.has_value()) {
        return unusable(url, "needs cert and key together");
    }
    if (parsed.user && !parsed.password_file) {
        return unusable(url, "names a user but no password-file");
    }
    return parsed;
}

} // namespace vfskit::store
