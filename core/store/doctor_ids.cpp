// SPDX-License-Identifier: Apache-2.0
// Ids that are longer than a tag, and ids that VMs use and nobody defines.
#include "core/base/file.h"
#include "core/base/sha1.h"
#include "core/base/text.h"
#include "core/store/doctor_findings.h"
#include "core/store/pve_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <functional>

namespace vfskit::store {

namespace {

namespace fs = std::filesystem;
using mapping::DirectoryMapping;

constexpr std::string_view backup_suffix = ".bak";
constexpr std::string_view acl_path = "/mapping/dir/";

void for_each_section(const VmConfig& vm, const std::function<void(const VmSection&)>& visit) {
    visit(vm.current);
    visit(vm.pending);
    for (const auto& snapshot : vm.snapshots) {
        visit(snapshot);
    }
}

/// The ids in "acl:1:/mapping/dir/ID:…" lines; nothing when the file cannot be read.
std::optional<IdSet> read_ids_with_permissions(const PvePaths& paths) {
    const auto content = base::read_file(paths.root + "/user.cfg", pve_max_file_bytes);
    if (!content) {
        return content.error().code() == ENOENT ? std::optional{IdSet{}} : std::nullopt;
    }
    IdSet ids;
    for (const auto line : base::split(*content, '\n')) {
        const auto at = line.find(acl_path);
        if (line.starts_with("acl:") && at != std::string_view::npos) {
            const auto id = line.substr(at + acl_path.size());
            ids.emplace(id.substr(0, id.find(':')));
        }
    }
    return ids;
}

/// The copies that repairs have left beside directory.cfg, the newest first: their names end in
/// the UTC time.
std::vector<std::string> list_copies(const PvePaths& paths) {
    const fs::path file{paths.directory};
    std::vector<std::string> names;
    std::error_code error;
    for (fs::directory_iterator entry{file.parent_path(), error}, end; !error && entry != end;
         entry.increment(error)) {
        const auto name = entry->path().filename().string();
        if (name.starts_with(file.filename().string() + ".") && name.ends_with(backup_suffix)) {
            names.push_back(entry->path().string());
        }
    }
    std::sort(names.begin(), names.end(), std::greater<>{});
    return names;
}

KnownCopies find_copies(const PvePaths& paths, IdSet wanted) {
    constexpr std::size_t max_copies = 32;
    KnownCopies found;
    if (wanted.empty()) {
        return found;
    }
    auto names = list_copies(paths);
    names.resize(std::min(names.size(), max_copies));
    for (const auto& name : names) {
        auto content = base::read_file(name, pve_max_file_bytes);
        if (!content) {
            continue;
        }
        const auto config = parse_directory_config(std::move(*content), name);
        std::erase_if(wanted, [&](const std::string& id) {
            const auto* section = config->find(id);
            const bool is_whole =
                section != nullptr && mapping::validate(section->mapping, mapping::Rules::pve);
            if (is_whole) {
                found.emplace(id, KnownCopy{section->mapping, name});
            }
            return is_whole;
        });
    }
    return found;
}

std::string paths_text(const DirectoryMapping& mapping) {
    std::string text;
    for (const auto& entry : mapping.paths) {
        text += fmt::format("{}{}:{}", text.empty() ? "" : " ", entry.node, entry.path);
    }
    return text;
}

std::string add_command(std::string id, const DirectoryMapping& mapping) {
    std::vector<std::string> words{"vfsctl", "mapping", "add", std::move(id)};
    for (const auto& entry : mapping.paths) {
        words.push_back(fmt::format("{}:{}", entry.node, entry.path));
    }
    const auto option = [&words](std::string_view name, std::string_view value) {
        words.emplace_back(name);
        words.emplace_back(value);
    };
    if (mapping.live_migration_method) {
        option("--method", to_string(*mapping.live_migration_method));
    }
    if (mapping.path_relation) {
        option("--relation", to_string(*mapping.path_relation));
    }
    if (mapping.description) {
        option("--description", *mapping.description);
    }
    return base::shell_join(words);
}

/// The device's value with another id.
std::string with_id(const VirtiofsDevice& device, std::string_view id) {
    std::string value{id};
    for (const auto part : base::split(device.raw, ',')) {
        if (part.find('=') != std::string_view::npos && !part.starts_with("dirid=")) {
            value += fmt::format(",{}", part);
        }
    }
    return value;
}

std::string set_command(const VmConfig& vm, const VirtiofsDevice& device, std::string_view id) {
    return fmt::format("'qm set {} --virtiofs{} {}' on node '{}'",
                       vm.vmid,
                       device.index,
                       base::shell_quote(with_id(device, id)),
                       vm.node);
}

class LongIdExamination {
public:
    LongIdExamination(const DirectoryMapping& mapping,
                      const DirectoryConfig& directory,
                      const PveSurroundings& surroundings)
        : mapping_{mapping}, short_id_{short_dirid(mapping.id)},
          is_short_id_taken_{directory.find(short_id_) != nullptr}, surroundings_{surroundings} {}

    Finding find(const Place& place) {
        collect_uses();
        Finding finding{"VFS-M004",
                        Severity::warning,
                        mapping_.id,
                        place,
                        fmt::format("The id has {} bytes; as the tag of a virtiofs device it may "
                                    "have {}, so QEMU refuses to start a VM with it",
                                    mapping_.id.size(),
                                    mapping::max_tag_bytes),
                        "",
                        false};
        const auto reason = why_not();
        finding.fixable = reason.empty();
        finding.remedy =
            finding.fixable
                ? fmt::format("Run 'vfsctl mapping doctor --fix', which renames it to '{}': no VM "
                              "uses it",
                              short_id_)
                : fmt::format("This needs a decision, because {}: {}", reason, commands());
        return finding;
    }

private:
    void collect_uses() {
        for (const auto& vm : surroundings_.vms) {
            for_each_section(vm, [&](const VmSection& section) {
                for (const auto& device : section.devices) {
                    if (device.dirid == mapping_.id) {
                        collect(vm, section, device);
                    }
                }
            });
        }
    }

    void collect(const VmConfig& vm, const VmSection& section, const VirtiofsDevice& device) {
        if (section.name.empty() || section.name == "PENDING") {
            set_commands_ += set_command(vm, device, short_id_) + ", ";
            users_ += fmt::format("{}VM {}", users_.empty() ? "" : ", ", vm.vmid);
        } else {
            users_ += fmt::format(
                "{}snapshot '{}' of VM {}", users_.empty() ? "" : ", ", section.name, vm.vmid);
        }
    }

    [[nodiscard]] bool has_permissions() const {
        return surroundings_.ids_with_permissions &&
               surroundings_.ids_with_permissions->contains(mapping_.id);
    }

    [[nodiscard]] std::string why_not() const {
        if (!users_.empty()) {
            return fmt::format("it is used by {}", users_);
        }
        if (is_short_id_taken_) {
            return fmt::format("'{}', which would be its new id, is defined too", short_id_);
        }
        if (!surroundings_.ids_with_permissions) {
            return "user.cfg, which may give permissions on it, cannot be read";
        }
        if (has_permissions()) {
            return fmt::format("user.cfg gives permissions on '{}{}'", acl_path, mapping_.id);
        }
        return "";
    }

    [[nodiscard]] std::string commands() const {
        if (is_short_id_taken_) {
            return fmt::format("{}then 'vfsctl mapping remove {}'", set_commands_, mapping_.id);
        }
        return fmt::format("'{}', {}{}then 'vfsctl mapping remove {}'",
                           add_command(short_id_, mapping_),
                           set_commands_,
                           has_permissions()
                               ? fmt::format("'pveum acl modify {}{} …' with the same roles, ",
                                             acl_path,
                                             short_id_)
                               : "",
                           mapping_.id);
    }

    const DirectoryMapping& mapping_;
    std::string short_id_;
    bool is_short_id_taken_;
    const PveSurroundings& surroundings_;
    std::string users_;
    std::string set_commands_;
};

} // namespace

std::string short_dirid(std::string_view id) {
    constexpr std::size_t digits = 8;
    auto kept = id.substr(0, mapping::max_tag_bytes - digits - 1);
    while (kept.ends_with('-') || kept.ends_with('_')) {
        kept.remove_suffix(1);
    }
    return fmt::format("{}-{}", kept, base::sha1_hex(id).substr(0, digits));
}

std::vector<UndefinedUse> find_undefined_uses(const std::vector<VmConfig>& vms,
                                              const std::vector<DirectoryMapping>& mappings) {
    std::set<std::string_view> defined;
    for (const auto& mapping : mappings) {
        defined.insert(mapping.id);
    }
    std::vector<UndefinedUse> uses;
    for (const auto& vm : vms) {
        for_each_section(vm, [&](const VmSection& section) {
            for (const auto& device : section.devices) {
                if (!defined.contains(device.dirid)) {
                    uses.push_back({&vm, &section, &device});
                }
            }
        });
    }
    return uses;
}

Result<PveSurroundings> read_surroundings(const PvePaths& paths,
                                          const std::vector<DirectoryMapping>& mappings) {
    PveSurroundings surroundings;
    VFSKIT_TRY_ASSIGN(surroundings.vms, read_vm_configs(paths.root));
    surroundings.ids_with_permissions = read_ids_with_permissions(paths);
    IdSet undefined;
    for (const auto& use : find_undefined_uses(surroundings.vms, mappings)) {
        undefined.insert(use.device->dirid);
    }
    surroundings.copies = find_copies(paths, std::move(undefined));
    return surroundings;
}

Finding finding_of(const UndefinedUse& use,
                   const std::vector<DirectoryMapping>& mappings,
                   const KnownCopies& copies) {
    const auto& vm = *use.vm;
    const auto& device = *use.device;
    const bool is_pending = use.section->name == "PENDING";
    const bool is_snapshot = !is_pending && !use.section->name.empty();
    const auto verb =
        is_snapshot ? fmt::format("used, when snapshot '{}' was made,", use.section->name)
                    : std::string{is_pending ? "will use after its next stop and start" : "uses"};
    const auto way_out = is_snapshot
                             ? fmt::format("qm delsnapshot {} {}", vm.vmid, use.section->name)
                             : fmt::format("qm set {} --{} virtiofs{}",
                                           vm.vmid,
                                           is_pending ? "revert" : "delete",
                                           device.index);
    Finding finding{
        "VFS-M005",
        is_pending || is_snapshot ? Severity::warning : Severity::error,
        fmt::format("VM {}", vm.vmid),
        Place{vm.path, device.line, fmt::format("virtiofs{}", device.index)},
        fmt::format("VM {} {} mapping '{}', which is not defined", vm.vmid, verb, device.dirid),
        "",
        false};
    if (const auto copy = copies.find(device.dirid); copy != copies.end()) {
        finding.fixable = true;
        finding.remedy = fmt::format("Run 'vfsctl mapping doctor --fix', which defines it again "
                                     "with what '{}' has for it, {}; or say '{}' on node '{}'",
                                     copy->second.file,
                                     paths_text(copy->second.mapping),
                                     way_out,
                                     vm.node);
        return finding;
    }
    finding.remedy =
        fmt::format("This needs a decision, because no copy of the file knows its paths: 'vfsctl "
                    "mapping add {} NODE:/PATH' defines it, '{}' on node '{}' does without it",
                    device.dirid,
                    way_out,
                    vm.node);
    std::vector<std::string_view> ids;
    ids.reserve(mappings.size());
    for (const auto& mapping : mappings) {
        ids.emplace_back(mapping.id);
    }
    const auto near = base::nearest(device.dirid, ids);
    if (near && !is_snapshot) {
        finding.remedy +=
            fmt::format("; if '{}' is meant, {}", *near, set_command(vm, device, *near));
    }
    return finding;
}

void examine_long_ids(const PveState& state,
                      const PvePaths& paths,
                      const PveSurroundings& surroundings,
                      std::vector<Finding>& findings) {
    for (const auto& mapping : state.mappings) {
        if (mapping.id.size() <= mapping::max_tag_bytes) {
            continue;
        }
        const auto* section = state.directory->find(mapping.id);
        const auto header = state.directory->file.sections[section->section].header;
        findings.push_back(LongIdExamination{mapping, *state.directory, surroundings}.find(
            Place{paths.directory, header + 1, {}}));
    }
}

std::string rename_sections(std::string content,
                            const std::string& file_name,
                            const std::map<std::string, std::string>& new_ids) {
    const auto config = parse_directory_config(std::move(content), file_name);
    LineEditor editor{config->file};
    for (const auto& section : config->file.sections) {
        if (const auto found = new_ids.find(std::string{section.id}); found != new_ids.end()) {
            editor.replace(section.header, found->second);
        }
    }
    return editor.is_empty() ? config->content : editor.apply(directory_header_rule);
}

} // namespace vfskit::store
