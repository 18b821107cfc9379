// SPDX-License-Identifier: Apache-2.0
#include "core/base/text.h"
#include "core/store/doctor_findings.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace vfskit::store {

namespace {

/// The text, one byte per character, of UTF-8 that has no character above U+00FF; nothing for any
/// other and for plain ASCII.
std::optional<std::string> to_latin1(std::string_view utf8) {
    std::string bytes;
    bool has_high = false;
    for (std::size_t i = 0; i < utf8.size(); ++i) {
        const auto first = static_cast<unsigned char>(utf8[i]);
        if (first < 0x80) {
            bytes += utf8[i];
            continue;
        }
        // U+0080 to U+00FF are the two-byte sequences that begin with C2 or C3.
        if ((first != 0xC2 && first != 0xC3) || i + 1 == utf8.size()) {
            return std::nullopt;
        }
        const auto second = static_cast<unsigned char>(utf8[++i]);
        bytes += static_cast<char>(((first & 0x03U) << 6U) | (second & 0x3FU));
        has_high = true;
    }
    return has_high ? std::optional{bytes} : std::nullopt;
}

class MappingExamination {
public:
    MappingExamination(const mapping::DirectoryMapping& mapping,
                       const Place& place,
                       std::vector<Finding>& findings)
        : mapping_{mapping}, place_{place}, findings_{findings} {}

    void run() {
        examine_id();
        for (const auto& entry : mapping_.paths) {
            judge(mapping::validate_node(entry.node, mapping::Rules::strict));
            judge(mapping::validate_path(entry.path, mapping::Rules::strict));
        }
        if (mapping_.description) {
            examine_description(*mapping_.description);
        }
    }

private:
    void examine_id() {
        // A longer one has a finding of its own.
        if (mapping_.id.size() <= mapping::max_tag_bytes) {
            judge(mapping::validate_dirid(mapping_.id, mapping::Rules::strict));
        }
    }

    void examine_description(const std::string& description) {
        if (!base::is_valid_utf8(description)) {
            add("VFS-M009",
                Severity::note,
                "The description is not UTF-8 but probably Latin-1, as Proxmox VE writes it",
                "Leave it if only Proxmox VE shows it; otherwise set the description again");
            return;
        }
        if (undo_double_encoding(description)) {
            add("VFS-M008",
                Severity::warning,
                "The description was encoded twice: its non-ASCII characters show as pairs",
                "Run 'vfsctl mapping doctor --fix', or set the description again",
                true);
            return;
        }
        judge(mapping::validate_description(description, mapping::Rules::strict));
    }

    void judge(const Result<void>& valid) {
        if (!valid) {
            add("VFS-M014",
                Severity::note,
                valid.error().message(),
                valid.error().remedy().empty()
                    ? "Set the mapping again with a value that is allowed"
                    : valid.error().remedy());
        }
    }

    void add(std::string code,
             Severity severity,
             std::string message,
             std::string remedy,
             bool fixable = false) {
        findings_.push_back(Finding{std::move(code),
                                    severity,
                                    mapping_.id,
                                    place_,
                                    std::move(message),
                                    std::move(remedy),
                                    fixable});
    }

    const mapping::DirectoryMapping& mapping_;
    const Place& place_;
    std::vector<Finding>& findings_;
};

class VmExamination {
public:
    explicit VmExamination(std::vector<Finding>& findings) : findings_{findings} {}

    void run(const VmConfig& vm) {
        subject_ = fmt::format("VM {}", vm.vmid);
        examine_tags(vm);
        for (const auto& notice : vm.notices) {
            add("VFS-M013",
                Severity::note,
                Place{vm.path, notice.line, {}},
                notice.message,
                "Correct the line, or set the option again with 'qm set'");
        }
    }

private:
    void examine_tags(const VmConfig& vm) {
        const auto devices = vm.devices_after_restart();
        std::set<std::string_view> seen;
        for (const auto& device : devices) {
            if (!seen.insert(device.dirid).second) {
                add("VFS-M011",
                    Severity::warning,
                    Place{vm.path, device.line, fmt::format("virtiofs{}", device.index)},
                    fmt::format("{} has mapping '{}' twice; both devices have that tag, and the "
                                "guest can mount only one of them",
                                subject_,
                                device.dirid),
                    fmt::format("Run 'qm set {} --delete virtiofs{}' on node '{}', or define a "
                                "second mapping with the same paths",
                                vm.vmid,
                                device.index,
                                vm.node));
            }
        }
    }

    void
    add(std::string code, Severity severity, Place place, std::string message, std::string remedy) {
        findings_.push_back(Finding{std::move(code),
                                    severity,
                                    subject_,
                                    std::move(place),
                                    std::move(message),
                                    std::move(remedy),
                                    false});
    }

    std::vector<Finding>& findings_;
    std::string subject_;
};

} // namespace

std::optional<std::string> undo_double_encoding(std::string_view description) {
    std::optional<std::string> decoded;
    std::string text{description};
    // Each round shortens the text, so this ends.
    for (;;) {
        auto once = to_latin1(text);
        const bool is_encoded =
            once && base::is_valid_utf8(*once) &&
            std::any_of(once->begin(), once->end(), [](char c) { return (c & '\x80') != 0; });
        if (!is_encoded) {
            return decoded;
        }
        text = *once;
        decoded = std::move(once);
    }
}

void examine_mapping(const mapping::DirectoryMapping& mapping,
                     const Place& place,
                     std::vector<Finding>& findings) {
    MappingExamination{mapping, place, findings}.run();
}

void examine_long_id(const mapping::DirectoryMapping& mapping, std::vector<Finding>& findings) {
    if (mapping.id.size() > mapping::max_tag_bytes) {
        findings.push_back(Finding{
            "VFS-M004",
            Severity::note,
            mapping.id,
            Place{},
            fmt::format("The id has {} bytes; the tag of a virtiofs device may have {}",
                        mapping.id.size(),
                        mapping::max_tag_bytes),
            fmt::format("Give its shares another tag: '--tag {}' of 'vfsctl xml filesystem', "
                        "'daemon command' and the other verbs that have it",
                        short_dirid(mapping.id)),
            false});
    }
}

void examine_vms(const std::vector<VmConfig>& vms, std::vector<Finding>& findings) {
    VmExamination examination{findings};
    for (const auto& vm : vms) {
        examination.run(vm);
    }
}

} // namespace vfskit::store
