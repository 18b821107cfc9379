// SPDX-License-Identifier: Apache-2.0
// One list of members per struct, members(), serves the writer and the reader alike.
#include "core/node/facts_json.h"

#include "core/base/text.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <cerrno>
#include <concepts>
#include <limits>
#include <utility>

namespace vfskit::node {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kind_word = "node-facts";
constexpr std::uint64_t format_version = 1;

/// Numbers that people know in hexadecimal.
struct Hex {
    std::optional<std::uint64_t>& value;
};

// --- the members -------------------------------------------------------------------------------
// `archive(name, member)` for each. Required members first where a struct has both.

template <class A>
void members(A& archive, HostFileHandle& handle) {
    archive("type", handle.type);
    archive("bytes", handle.bytes);
}

template <class A>
void members(A& archive, BinaryFacts& binary) {
    archive("path", binary.path);
    archive("kind", binary.kind);
    archive("version", binary.version);
    archive("features", binary.features);
    archive("vhost-user-files", binary.vhost_user_files);
    archive("is-libvirt-default", binary.is_libvirt_default);
    archive("problem", binary.problem);
}

template <class A>
void members(A& archive, DaemonOptions& options) {
    archive("method", options.method);
    archive("is-method-explicit", options.is_method_explicit);
    archive("on-error", options.on_error);
    archive("verify-handles", options.verify_handles);
    archive("confirm-paths", options.confirm_paths);
    archive("cache", options.cache);
    archive("writeback", options.writeback);
    archive("xattr", options.xattr);
    archive("posix-acl", options.posix_acl);
    archive("security-label", options.security_label);
    archive("announce-submounts", options.announce_submounts);
    archive("readonly", options.readonly);
    archive("allow-direct-io", options.allow_direct_io);
    archive("allow-mmap", options.allow_mmap);
    archive("inode-file-handles", options.inode_file_handles);
    archive("sandbox", options.sandbox);
    archive("xattrmap", options.xattrmap);
    archive("modcaps", options.modcaps);
    archive("thread-pool-size", options.thread_pool_size);
    archive("translate-uid", options.translate_uid);
    archive("translate-gid", options.translate_gid);
}

template <class A>
void members(A& archive, OpenFilesFacts& files) {
    archive("stuck", files.stuck);
    archive("by-handle", files.by_handle);
    archive("by-descriptor", files.by_descriptor);
    archive("locks", files.locks);
    archive("locks-move", files.locks_move);
    archive("examples", files.examples);
}

template <class A>
void members(A& archive, DaemonFacts& daemon) {
    archive("is-alive", daemon.is_alive);
    archive("pid", daemon.pid);
    archive("started-at", daemon.started_at);
    archive("manager", daemon.manager);
    archive("vm", daemon.vm);
    archive("tag", daemon.tag);
    archive("dirid", daemon.dirid);
    archive("shared-dir", daemon.shared_dir);
    archive("socket", daemon.socket);
    archive("control-socket", daemon.control_socket);
    archive("binary", daemon.binary);
    archive("kind", daemon.kind);
    archive("version", daemon.version);
    archive("is-binary-replaced", daemon.is_binary_replaced);
    archive("argv", daemon.argv);
    archive("options", daemon.options);
    archive("submounts", daemon.submounts);
    archive("open-files", daemon.open_files);
}

template <class A>
void members(A& archive, GuestMemoryFacts& memory) {
    archive("bytes", memory.bytes);
    archive("is-shared", memory.is_shared);
    archive("has-hugepages", memory.has_hugepages);
    archive("hugepage-bytes", memory.hugepage_bytes);
}

template <class A>
void members(A& archive, GuestFacts& guest) {
    archive("name", guest.name);
    archive("uuid", guest.uuid);
    archive("vmid", guest.vmid);
    archive("pid", guest.pid);
    archive("started-at", guest.started_at);
    archive("manager", guest.manager);
    archive("binary", guest.binary);
    archive("version", guest.version);
    archive("memory", guest.memory);
}

template <class A>
void members(A& archive, EmulatorFacts& emulator) {
    archive("path", emulator.path);
    archive("version", emulator.version);
}

template <class A>
void members(A& archive, HookFacts& hook) {
    archive("path", hook.path);
    archive("is-installed", hook.is_installed);
    archive("is-loaded", hook.is_loaded);
}

template <class A>
void members(A& archive, LibvirtFacts& libvirt) {
    archive("version", libvirt.version);
    archive("daemon", libvirt.daemon);
    archive("is-running", libvirt.is_running);
    archive("started-at", libvirt.started_at);
    archive("hook", libvirt.hook);
}

template <class A>
void members(A& archive, PveFacts& pve) {
    archive("manager-version", pve.manager_version);
    archive("qemu-server-version", pve.qemu_server_version);
    archive("plugin-version", pve.plugin_version);
    archive("has-return-path", pve.has_return_path);
    archive("has-launcher", pve.has_launcher);
    archive("is-quorate", pve.is_quorate);
}

template <class A>
void members(A& archive, HugepagesFacts& pool) {
    archive("page-bytes", pool.page_bytes);
    archive("total", pool.total);
    archive("free", pool.free);
}

template <class A>
void members(A& archive, MemoryFacts& memory) {
    archive("total-bytes", memory.total_bytes);
    archive("available-bytes", memory.available_bytes);
    archive("hugepages", memory.hugepages);
}

template <class A>
void members(A& archive, SubmountFacts& submount) {
    archive("path", submount.path);
    archive("fs-type", submount.fs_type);
}

template <class A>
void members(A& archive, PathFacts& path) {
    archive("dirid", path.dirid);
    archive("path", path.path);
    archive("state", path.state);
    archive("problem", path.problem);
    archive("exists", path.exists);
    archive("is-directory", path.is_directory);
    archive("mount-point", path.mount_point);
    archive("mount-source", path.mount_source);
    archive("fs-type", path.fs_type);
    archive("mount-options", path.mount_options);
    archive("submounts", path.submounts);
    archive("expected-mount-point", path.expected_mount_point);
    archive("is-expected-mount", path.is_expected_mount);
    archive("is-empty", path.is_empty);
    archive("device-major", path.device_major);
    archive("device-minor", path.device_minor);
    archive("inode", path.inode);
    Hex fs_id{path.fs_id};
    archive("fs-id", fs_id);
    Hex fs_magic{path.fs_magic};
    archive("fs-magic", fs_magic);
    archive("birth-ns", path.birth_ns);
    archive("root-handle", path.root_handle);
    archive("name-to-handle-works", path.name_to_handle_works);
    archive("open-by-handle-works", path.open_by_handle_works);
    archive("total-bytes", path.total_bytes);
    archive("free-bytes", path.free_bytes);
    archive("free-inodes", path.free_inodes);
    archive("is-readonly", path.is_readonly);
    archive("supports-xattr", path.supports_xattr);
    archive("supports-acl", path.supports_acl);
}

template <class A>
void members(A& archive, NodeFacts& facts) {
    archive("node", facts.node);
    archive("collected-at", facts.collected_at);
    archive("boot-id", facts.boot_id);
    archive("machine-id", facts.machine_id);
    archive("vfskit-version", facts.vfskit_version);
    archive("kernel", facts.kernel);
    archive("has-dac-read-search", facts.has_dac_read_search);
    archive("virtiofsds", facts.virtiofsds);
    archive("daemons", facts.daemons);
    archive("guests", facts.guests);
    archive("qemus", facts.qemus);
    archive("libvirt", facts.libvirt);
    archive("pve", facts.pve);
    archive("memory", facts.memory);
    archive("mappings-revision", facts.mappings_revision);
    archive("paths", facts.paths);
    archive("problems", facts.problems);
}

// --- words of the enumerations -----------------------------------------------------------------

template <class E, std::size_t N>
Result<E> parse_word(std::string_view word, const E (&values)[N]) {
    for (const E value : values) {
        if (to_string(value) == word) {
            return value;
        }
    }
    return Error{EINVAL, fmt::format("'{}' is not known", word)};
}

Result<BinaryKind> parse_enum(std::string_view word, BinaryKind /*tag*/) {
    return parse_word(word, {BinaryKind::rust, BinaryKind::bundled, BinaryKind::c});
}
Result<Manager> parse_enum(std::string_view word, Manager /*tag*/) {
    return parse_word(word, {Manager::vfskit, Manager::libvirt, Manager::pve, Manager::other});
}
Result<ProbeState> parse_enum(std::string_view word, ProbeState /*tag*/) {
    return parse_word(word, {ProbeState::answered, ProbeState::timed_out, ProbeState::failed});
}
Result<mapping::MigrationMethod> parse_enum(std::string_view word,
                                            mapping::MigrationMethod /*tag*/) {
    return mapping::parse_migration_method(word);
}
Result<share::OnError> parse_enum(std::string_view word, share::OnError /*tag*/) {
    return share::parse_on_error(word);
}
Result<share::CachePolicy> parse_enum(std::string_view word, share::CachePolicy /*tag*/) {
    return share::parse_cache_policy(word);
}
Result<share::Negotiation> parse_enum(std::string_view word, share::Negotiation /*tag*/) {
    return share::parse_negotiation(word);
}
Result<share::InodeFileHandles> parse_enum(std::string_view word, share::InodeFileHandles /*tag*/) {
    return share::parse_inode_file_handles(word);
}
Result<share::SandboxMode> parse_enum(std::string_view word, share::SandboxMode /*tag*/) {
    return share::parse_sandbox_mode(word);
}

template <class T>
concept Enumeration = std::is_enum_v<T>;

struct AnyArchive {
    void operator()(const char* name, auto&& member);
};
/// A struct with a list of members above.
template <class T>
concept Described = requires(AnyArchive& archive, T& value) {
    members(archive, value);
};

template <class T>
concept Number = std::integral<T> && !std::same_as<T, bool>;

// --- writing -----------------------------------------------------------------------------------

std::string hex_of(const std::vector<std::uint8_t>& bytes) {
    std::string text;
    for (const auto byte : bytes) {
        text += fmt::format("{:02x}", byte);
    }
    return text;
}

class Writer {
public:
    template <class T>
    void operator()(const char* name, T& member) {
        object_[name] = value(member);
    }
    template <class T>
    void operator()(const char* name, std::optional<T>& member) {
        if (member) {
            object_[name] = value(*member);
        }
    }
    void operator()(const char* name, Hex& member) {
        if (member.value) {
            object_[name] = fmt::format("{:016x}", *member.value);
        }
    }
    static Json document(NodeFacts& facts) {
        Json document{{"kind", kind_word}, {"version", format_version}};
        document.update(object(facts));
        return document;
    }
    template <Described T>
    static Json value(T& member) {
        return object(member);
    }

private:
    static Json value(bool member) { return member; }
    static Json value(Number auto member) { return member; }
    static Json value(const std::string& member) { return base::to_utf8(member); }
    static Json value(Enumeration auto member) { return to_string(member); }
    static Json value(const Time& member) { return to_string(member); }
    static Json value(const Version& member) { return share::to_string(member); }
    static Json value(std::vector<std::uint8_t>& member) { return hex_of(member); }
    template <class T>
    static Json value(std::vector<T>& members) {
        Json array = Json::array();
        for (auto& member : members) {
            array.push_back(value(member));
        }
        return array;
    }
    template <class T>
    static Json object(T& member) {
        Writer writer;
        members(writer, member);
        return std::move(writer.object_);
    }

    Json object_ = Json::object();
};

// --- reading -----------------------------------------------------------------------------------

template <class T>
struct IsOptional : std::false_type {};
template <class T>
struct IsOptional<std::optional<T>> : std::true_type {};
template <class T>
struct IsVector : std::false_type {};
template <class T>
struct IsVector<std::vector<T>> : std::true_type {};

std::optional<std::uint8_t> nibble(char c) {
    if (c >= '0' && c <= '9') {
        return static_cast<std::uint8_t>(c - '0');
    }
    if (c >= 'a' && c <= 'f') {
        return static_cast<std::uint8_t>(c - 'a' + 10);
    }
    return std::nullopt;
}

std::optional<std::vector<std::uint8_t>> parse_hex(std::string_view text) {
    std::vector<std::uint8_t> bytes;
    if (text.size() % 2 != 0) {
        return std::nullopt;
    }
    for (std::size_t i = 0; i < text.size(); i += 2) {
        const auto high = nibble(text[i]);
        const auto low = nibble(text[i + 1]);
        if (!high || !low) {
            return std::nullopt;
        }
        bytes.push_back(static_cast<std::uint8_t>(*high << 4 | *low));
    }
    return bytes;
}

/// Takes the members out of one object. The first fault ends the reading of everything.
class Reader {
public:
    Reader(const Json& object, std::string where, std::optional<std::string>& fault)
        : object_{object}, where_{std::move(where)}, fault_{fault} {
        if (!object.is_object()) {
            fail(where_, "is not an object");
        }
    }

    template <class T>
    void operator()(const char* name, T& member) {
        if (fault_) {
            return;
        }
        const auto found = object_.find(name);
        const auto where = fmt::format("{}.{}", where_, name);
        if (found == object_.end()) {
            if constexpr (!IsOptional<T>::value && !std::same_as<T, Hex>) {
                fail(where, "is missing");
            }
            return;
        }
        read(*found, where, member);
    }

private:
    void fail(const std::string& where, std::string_view what) {
        if (!fault_) {
            fault_ = fmt::format("'{}' {}", where, what);
        }
    }
    template <class T>
    void read(const Json& json, const std::string& where, std::optional<T>& member) {
        read(json, where, member.emplace());
    }
    void read(const Json& json, const std::string& where, bool& member) {
        if (!json.is_boolean()) {
            return fail(where, "is not true or false");
        }
        member = json.get<bool>();
    }
    template <Number T>
    void read(const Json& json, const std::string& where, T& member) {
        if (json.is_number_unsigned()) {
            const auto number = json.get<std::uint64_t>();
            if (std::in_range<T>(number)) {
                member = static_cast<T>(number);
                return;
            }
        } else if (json.is_number_integer()) {
            const auto number = json.get<std::int64_t>();
            if (std::in_range<T>(number)) {
                member = static_cast<T>(number);
                return;
            }
        }
        fail(where, "is not a number of the right size");
    }
    void read(const Json& json, const std::string& where, std::string& member) {
        if (!json.is_string()) {
            return fail(where, "is not a text");
        }
        member = json.get<std::string>();
    }
    template <class T>
    void accept(const Json& json,
                const std::string& where,
                T& member,
                Result<T> (*parse)(std::string_view)) {
        if (!json.is_string()) {
            return fail(where, "is not a text");
        }
        auto parsed = parse(json.get_ref<const std::string&>());
        if (!parsed) {
            return fail(where, fmt::format("is wrong: {}", parsed.error().message()));
        }
        member = *parsed;
    }
    template <Enumeration T>
    void read(const Json& json, const std::string& where, T& member) {
        accept<T>(
            json, where, member, +[](std::string_view word) { return parse_enum(word, T{}); });
    }
    void read(const Json& json, const std::string& where, Time& member) {
        accept<Time>(json, where, member, parse_time);
    }
    void read(const Json& json, const std::string& where, Version& member) {
        accept<Version>(json, where, member, share::parse_version);
    }
    void read(const Json& json, const std::string& where, std::vector<std::uint8_t>& member) {
        const auto bytes =
            json.is_string() ? parse_hex(json.get_ref<const std::string&>()) : std::nullopt;
        if (!bytes) {
            return fail(where, "is not an even number of hexadecimal digits");
        }
        member = *bytes;
    }
    void read(const Json& json, const std::string& where, Hex& member) {
        const auto bytes =
            json.is_string() ? parse_hex(json.get_ref<const std::string&>()) : std::nullopt;
        if (!bytes || bytes->size() != sizeof(std::uint64_t)) {
            return fail(where, "is not 16 hexadecimal digits");
        }
        std::uint64_t number = 0;
        for (const auto byte : *bytes) {
            number = number << 8 | byte;
        }
        member.value = number;
    }
    template <class T>
    void read(const Json& json, const std::string& where, std::vector<T>& members) {
        if (!json.is_array()) {
            return fail(where, "is not a list");
        }
        members.reserve(json.size());
        for (std::size_t i = 0; i < json.size() && !fault_; ++i) {
            read(json[i], fmt::format("{}[{}]", where, i), members.emplace_back());
        }
    }
    template <Described T>
    void read(const Json& json, const std::string& where, T& member) {
        Reader reader{json, where, fault_};
        members(reader, member);
    }

    const Json& object_;
    std::string where_;
    std::optional<std::string>& fault_;
};

std::string dump(const NodeFacts& facts, int indent) {
    // members() is written for members that a reader may set; a writer leaves them alone.
    auto copy = facts;
    return Writer::document(copy).dump(indent);
}

} // namespace

std::string to_json(const NodeFacts& facts) {
    return dump(facts, 2);
}

std::string to_compact_json(const NodeFacts& facts) {
    return dump(facts, -1);
}

std::string encode_path(const PathFacts& path) {
    auto copy = path;
    return Writer::value(copy).dump();
}

Result<PathFacts> decode_path(std::string_view json) {
    const Json document = Json::parse(json, nullptr, false);
    PathFacts path;
    std::optional<std::string> fault;
    Reader reader{document, "path", fault};
    members(reader, path);
    if (fault) {
        return Error{EBADMSG, fmt::format("The facts of a path cannot be read: {}", *fault)};
    }
    return path;
}

Result<NodeFacts> parse_facts(std::string_view json) {
    const Json document = Json::parse(json, nullptr, false);
    if (!document.is_object() || document.value("kind", Json{}) != Json(kind_word)) {
        return Error{EBADMSG, "This is not a JSON document of kind 'node-facts'"}.with_remedy(
            "Take what 'vfsctl node facts --json' prints");
    }
    if (document.value("version", Json{}) != Json(format_version)) {
        return Error{EPROTONOSUPPORT,
                     fmt::format("The node facts are of format {}, this vfskit reads {}",
                                 document.value("version", Json{}).dump(),
                                 format_version)}
            .with_remedy("Install the same version of vfskit on both nodes");
    }
    NodeFacts facts;
    std::optional<std::string> fault;
    Reader reader{document, "facts", fault};
    members(reader, facts);
    if (fault) {
        return Error{EBADMSG, fmt::format("The node facts cannot be read: {}", *fault)};
    }
    return facts;
}

} // namespace vfskit::node
