// SPDX-License-Identifier: Apache-2.0
#include "core/domain/guest.h"

#include "core/base/text.h"
#include "core/domain/refusal.h"
#include "core/domain/yaml_text.h"
#include "core/mapping/mapping.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

namespace vfskit::domain {
namespace {

// systemd's UNIT_NAME_MAX without the NUL, "mount" suffix included.
constexpr std::size_t max_unit_name = 255;
constexpr std::string_view mount_suffix = ".mount";

bool is_printable(std::string_view text) {
    return base::is_valid_utf8(text) && std::none_of(text.begin(), text.end(), [](char c) {
               const auto byte = static_cast<unsigned char>(c);
               return byte < 0x20 || byte == 0x7F;
           });
}

Result<void> check_tag(std::string_view tag) {
    if (tag.empty() || tag.size() > mapping::max_tag_bytes) {
        return refuse("tag",
                      fmt::format("The tag '{}' is empty or longer than {} bytes",
                                  tag,
                                  mapping::max_tag_bytes))
            .with_remedy("Use the tag that the domain has");
    }
    if (!is_printable(tag)) {
        return refuse("tag", "The tag has control characters or is not UTF-8")
            .with_remedy("Give the share a tag of printable characters");
    }
    return {};
}

Result<void> check_mount_point(std::string_view path) {
    if (path.empty() || path.front() != '/' || !is_printable(path)) {
        return refuse("mount point",
                      fmt::format("'{}' is not an absolute path of printable characters", path))
            .with_remedy("Write it from the guest's root, e.g. /srv/media");
    }
    for (const std::string_view part : base::split(path, '/')) {
        if (part == "..") {
            return refuse("mount point", fmt::format("'{}' has a '..'", path))
                .with_remedy("Write the path without it");
        }
    }
    return {};
}

Result<void> check(const GuestMount& mount) {
    VFSKIT_TRY(check_tag(mount.tag));
    VFSKIT_TRY(check_mount_point(mount.mount_point));
    for (const std::string& option : mount.options) {
        if (option.empty() || !is_printable(option) || option.find(' ') != std::string::npos) {
            return refuse("options", fmt::format("'{}' is not a mount option", option))
                .with_remedy("Give options as mount(8) takes them, e.g. noatime");
        }
    }
    return {};
}

/// What a line of fstab cannot hold as it is; '#' would begin a comment. getmntent(3) undoes it.
std::string fstab_escape(std::string_view field) {
    std::string result;
    for (const char c : field) {
        if (c == ' ' || c == '\t' || c == '\\' || c == '#') {
            result += fmt::format("\\{:03o}", static_cast<unsigned>(c));
        } else {
            result += c;
        }
    }
    return result;
}

std::string join_options(const GuestMount& mount) {
    std::vector<std::string> options;
    if (mount.readonly) {
        options.emplace_back("ro");
    }
    if (mount.nofail) {
        options.emplace_back("nofail");
    }
    options.insert(options.end(), mount.options.begin(), mount.options.end());
    return options.empty() ? "defaults" : fmt::format("{}", fmt::join(options, ","));
}

/// libmount reads these as "look the device up", not as a name.
Result<void> check_not_a_lookup(std::string_view tag) {
    for (const std::string_view key : {"LABEL=", "UUID=", "PARTLABEL=", "PARTUUID=", "ID="}) {
        if (tag.starts_with(key)) {
            return refuse("tag",
                          fmt::format("mount(8) takes '{}' for a device to be looked up", tag))
                .with_remedy("Give the share another tag");
        }
    }
    return {};
}

/// A value in a unit file: '%' begins a specifier, a backslash at the end joins the next line, and
/// blanks at either end get lost.
Result<std::string> unit_value(std::string_view value, std::string key) {
    if (value.ends_with('\\') || base::trim(value) != value) {
        return refuse(std::move(key),
                      fmt::format(
                          "A unit file cannot hold '{}': it ends with a backslash, or begins or "
                          "ends with a blank",
                          value))
            .with_remedy("Give it another name, or use fstab");
    }
    std::string result;
    for (const char c : value) {
        result += c;
        if (c == '%') {
            result += c;
        }
    }
    return result;
}

bool is_unit_name_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == ':' ||
           c == '_' || c == '.';
}

/// The path's parts, without empty ones and ".".
std::vector<std::string_view> path_parts(std::string_view path) {
    std::vector<std::string_view> parts = base::split(path, '/');
    std::erase_if(parts, [](std::string_view part) { return part.empty() || part == "."; });
    return parts;
}

/// Unit files want it in its shortest form.
std::string simplify(std::string_view path) {
    return fmt::format("/{}", fmt::join(path_parts(path), "/"));
}

bool is_hex_number(std::string_view text) {
    return text.find_first_not_of("0123456789abcdefABCDEF") == std::string_view::npos;
}

std::string description_of(const GuestMount& mount) {
    return mount.dirid && *mount.dirid != mount.tag
               ? fmt::format("Share {} of directory mapping {}", mount.tag, *mount.dirid)
               : fmt::format("Share {}", mount.tag);
}

std::string indent_lines(std::string_view text, std::string_view indent) {
    std::string result;
    for (const std::string_view line : base::split(base::trim(text), '\n')) {
        result += line.empty() ? "\n" : fmt::format("{}{}\n", indent, line);
    }
    return result;
}

} // namespace

Result<std::string> fstab_line(const GuestMount& mount) {
    VFSKIT_TRY(check(mount));
    VFSKIT_TRY(check_not_a_lookup(mount.tag));
    return fmt::format("{} {} virtiofs {} 0 0\n",
                       fstab_escape(mount.tag),
                       fstab_escape(mount.mount_point),
                       fstab_escape(join_options(mount)));
}

Result<std::string> systemd_escape_path(std::string_view path) {
    for (const std::string_view part : base::split(path, '/')) {
        if (part == "..") {
            return refuse("mount point", fmt::format("'{}' has a '..'", path))
                .with_remedy("Write the path without it");
        }
    }
    const std::vector<std::string_view> parts = path_parts(path);
    if (parts.empty()) {
        return std::string{"-"};
    }
    std::string result;
    for (const std::string_view part : parts) {
        if (!result.empty()) {
            result += '-';
        }
        for (const char c : part) {
            const bool leading_dot = c == '.' && result.empty();
            result += is_unit_name_char(c) && !leading_dot
                          ? std::string(1, c)
                          : fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
        }
    }
    return result;
}

Result<MountUnit> systemd_mount_unit(const GuestMount& mount) {
    VFSKIT_TRY(check(mount));
    VFSKIT_TRY_ASSIGN(const std::string escaped, systemd_escape_path(mount.mount_point));
    MountUnit unit{escaped + std::string{mount_suffix}, {}};
    if (unit.name.size() > max_unit_name) {
        return refuse("mount point",
                      fmt::format(
                          "The unit of '{}' would have a name of {} bytes, systemd's limit is {}",
                          mount.mount_point,
                          unit.name.size(),
                          max_unit_name))
            .with_remedy("Use a shorter mount point, or fstab");
    }
    VFSKIT_TRY_ASSIGN(const std::string what, unit_value(mount.tag, "tag"));
    VFSKIT_TRY_ASSIGN(const std::string where,
                      unit_value(simplify(mount.mount_point), "mount point"));
    VFSKIT_TRY_ASSIGN(const std::string options, unit_value(join_options(mount), "options"));
    VFSKIT_TRY_ASSIGN(const std::string description, unit_value(description_of(mount), "dirid"));
    // Options=nofail also keeps the unit from being ordered before local-fs.target.
    unit.text = fmt::format("[Unit]\n"
                            "Description={}\n"
                            "\n"
                            "[Mount]\n"
                            "What={}\n"
                            "Where={}\n"
                            "Type=virtiofs\n"
                            "Options={}\n"
                            "\n"
                            "[Install]\n"
                            "{}=local-fs.target\n",
                            description,
                            what,
                            where,
                            options,
                            mount.nofail ? "WantedBy" : "RequiredBy");
    return unit;
}

Result<std::string> kernel_root_arguments(std::string_view tag, RootStyle style, bool readonly) {
    VFSKIT_TRY(check_tag(tag));
    if (tag.find_first_of(" \"'\\") != std::string_view::npos) {
        return refuse("tag", fmt::format("The kernel command line cannot carry the tag '{}'", tag))
            .with_remedy("Use a tag without blanks, quotes and backslashes");
    }
    const std::string_view access = readonly ? "ro" : "rw";
    if (style == RootStyle::dracut) {
        return fmt::format("root=virtiofs:{} {}", tag, access);
    }
    VFSKIT_TRY(check_not_a_lookup(tag));
    if (tag.starts_with("/dev/") || is_hex_number(tag)) {
        return refuse("tag",
                      fmt::format("The kernel takes root={} for a block device, not a tag", tag))
            .with_remedy("Use a tag that is no hexadecimal number and does not begin with /dev/");
    }
    return fmt::format("rootfstype=virtiofs root={} {}", tag, access);
}

Result<std::string> cloud_init_user_data(std::span<const GuestMount> mounts) {
    std::string files;
    std::string commands;
    for (const GuestMount& mount : mounts) {
        VFSKIT_TRY_ASSIGN(const MountUnit unit, systemd_mount_unit(mount));
        files += fmt::format("  - path: {}\n"
                             "    owner: root:root\n"
                             "    permissions: '0644'\n"
                             "    content: |\n"
                             "{}",
                             yaml_quote("/etc/systemd/system/" + unit.name),
                             indent_lines(unit.text, "      "));
        commands += fmt::format("  - [systemctl, enable, --now, {}]\n", yaml_quote(unit.name));
    }
    if (files.empty()) {
        return refuse("mounts", "There is no share to mount").with_remedy("Name at least one");
    }
    // Seen in cloud-init 22.4 and later sources (cc_mounts, sanitize_devname).
    return fmt::format(
        "#cloud-config\n"
        "# Mount units, because cloud-init's own \"mounts:\" skips whatever is not a block "
        "device,\n"
        "# and so every virtiofs tag, without a word.\n"
        "write_files:\n"
        "{}"
        "runcmd:\n"
        "  - [systemctl, daemon-reload]\n"
        "{}",
        files,
        commands);
}

} // namespace vfskit::domain
