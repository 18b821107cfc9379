// SPDX-License-Identifier: Apache-2.0
#include "pve-plugin/launcher/settings.h"

#include "core/base/file.h"
#include "core/base/text.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <vector>

namespace vfskit::pve_plugin {
namespace {

constexpr std::size_t max_bytes = 1U << 16U;

std::size_t line_of(const YAML::Mark& mark) {
    return mark.is_null() ? 0 : static_cast<std::size_t>(mark.line) + 1;
}

Result<std::string> read_text(const YAML::Node& value) {
    if (!value.IsScalar() || value.Scalar().empty()) {
        return Error{EINVAL, "The value is no text"}.with_remedy("Write one word or one path");
    }
    return value.Scalar();
}

Result<void> set_daemon(Settings& settings, const std::string& word) {
    if (word == "bundled") {
        settings.daemon = DaemonChoice::bundled;
    } else if (word == "system") {
        settings.daemon = DaemonChoice::system;
    } else {
        return Error{EINVAL, fmt::format("Daemon \"{}\" is not known", word)}.with_remedy(
            "Use bundled or system");
    }
    return {};
}

Result<void> set_compat(Settings& settings, const std::string& word) {
    if (word != "true" && word != "false") {
        return Error{EINVAL, fmt::format("\"{}\" is no boolean", word)}.with_remedy(
            "Use true or false");
    }
    settings.compat = word == "true";
    return {};
}

Result<void> set_on_error(Settings& settings, const std::string& word) {
    VFSKIT_TRY_ASSIGN(settings.on_error, share::parse_on_error(word));
    return {};
}

template <std::string Settings::*field>
Result<void> set_path(Settings& settings, const std::string& word) {
    if (word.front() != '/') {
        return Error{EINVAL, fmt::format("Path \"{}\" is not absolute", word)}.with_remedy(
            "Begin it with a slash");
    }
    settings.*field = word;
    return {};
}

Result<void> check_version(Settings& /*settings*/, const std::string& word) {
    if (word != "1") {
        return Error{EINVAL, fmt::format("Version \"{}\" of the file is not known", word)}
            .with_remedy("Use version 1, or a newer vfskit");
    }
    return {};
}

struct Key {
    std::string_view name;
    Result<void> (*set)(Settings&, const std::string&);
};

constexpr std::array<Key, 7> keys{{
    {"version", check_version},
    {"daemon", set_daemon},
    {"compat", set_compat},
    {"migration-on-error", set_on_error},
    {"bundled-daemon", set_path<&Settings::bundled_daemon>},
    {"system-daemon", set_path<&Settings::system_daemon>},
    {"pve-root", set_path<&Settings::pve_root>},
}};

Error unknown_key(const std::string& name) {
    std::array<std::string_view, keys.size()> names;
    std::ranges::transform(keys, names.begin(), &Key::name);
    auto error = Error{EINVAL, "The key is not known"};
    if (const auto near = base::nearest(name, names)) {
        return std::move(error).with_remedy(fmt::format("Did you mean \"{}\"?", *near));
    }
    return std::move(error).with_remedy(fmt::format("Known are {}", fmt::join(names, ", ")));
}

Result<void> read_entry(Settings& settings, const std::string& name, const YAML::Node& value) {
    const auto* const key = std::ranges::find(keys, name, &Key::name);
    if (key == keys.end()) {
        return unknown_key(name);
    }
    VFSKIT_TRY_ASSIGN(const auto text, read_text(value));
    return key->set(settings, text);
}

Result<Settings> read_document(const YAML::Node& root, const std::string& path) {
    Settings settings;
    if (root.IsNull()) {
        return settings;
    }
    if (!root.IsMap()) {
        return Error{EBADMSG, "The file is no list of keys and values"}
            .at({path, line_of(root.Mark()), {}})
            .with_remedy("Write \"key: value\" lines, as vfskit-pve.yaml(5) shows");
    }
    for (const auto& entry : root) {
        const auto name = entry.first.IsScalar() ? entry.first.Scalar() : std::string{};
        auto done = read_entry(settings, name, entry.second);
        if (!done) {
            return std::move(done).error().at({path, line_of(entry.first.Mark()), name});
        }
    }
    return settings;
}

} // namespace

Result<Settings> read_settings(const std::string& path) {
    const auto content = base::read_file(path, max_bytes);
    if (!content && content.error().code() == ENOENT) {
        return Settings{};
    }
    if (!content) {
        return content.error();
    }
    try { // yaml-cpp's only way to refuse
        return read_document(YAML::Load(*content), path);
    } catch (const YAML::Exception& failure) {
        return Error{EBADMSG, fmt::format("The file is not YAML: {}", failure.msg)}
            .at({path, line_of(failure.mark), {}})
            .with_remedy("Mend the line, or remove the file: every setting has a default");
    }
}

} // namespace vfskit::pve_plugin
