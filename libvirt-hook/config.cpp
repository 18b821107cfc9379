// SPDX-License-Identifier: Apache-2.0
#include "libvirt-hook/config.h"

#include "core/base/file.h"
#include "core/base/text.h"

#include <fmt/format.h>

#include <cerrno>
#include <map>

namespace vfskit::libvirt_hook {

Result<Config> parse_config(std::string_view text) {
    Config config;
    const std::map<std::string_view, std::string*> keys{{"store", &config.store},
                                                        {"node", &config.node},
                                                        {"daemon", &config.daemon},
                                                        {"wrapper", &config.wrapper},
                                                        {"vfsctl", &config.vfsctl},
                                                        {"run-dir", &config.run_dir},
                                                        {"socket-group", &config.socket_group}};
    std::size_t number = 0;
    for (const auto line : base::split(text, '\n')) {
        ++number;
        const auto content = base::trim(line);
        if (content.empty() || content.front() == '#') {
            continue;
        }
        const auto equals = content.find('=');
        const auto key = base::trim(content.substr(0, equals));
        const auto found = keys.find(key);
        if (equals == std::string_view::npos || found == keys.end()) {
            return Error{EINVAL, fmt::format("'{}' is no setting", content)}
                .at({.file = {}, .line = number, .key = {}})
                .with_remedy("Use store, node, daemon, wrapper, vfsctl, run-dir or socket-group, "
                             "as 'key = value'");
        }
        *found->second = base::trim(content.substr(equals + 1));
    }
    return config;
}

Result<Config> read_config(const std::string& path) {
    constexpr std::size_t max_config_bytes = 65536;
    const auto text = base::read_file(path, max_config_bytes);
    if (!text && text.error().code() == ENOENT) {
        return Config{};
    }
    if (!text) {
        return text.error();
    }
    auto config = parse_config(*text);
    if (!config) {
        return std::move(config).error().at({.file = path, .line = 0, .key = {}});
    }
    return config;
}

} // namespace vfskit::libvirt_hook
