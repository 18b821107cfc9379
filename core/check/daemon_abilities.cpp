// SPDX-License-Identifier: Apache-2.0
#include "core/check/daemon_abilities.h"

#include "core/share/daemon_support.h"

#include <fmt/format.h>

namespace vfskit::check {
namespace {

using mapping::MigrationMethod;
using node::BinaryKind;
using node::Version;

constexpr std::string_view feature_migrate = "migrate-precopy";

share::Dialect dialect_of(BinaryKind kind, const Version& version) {
    switch (kind) {
    case BinaryKind::bundled:
        return share::Dialect::bundled;
    case BinaryKind::c:
        return share::Dialect::c_daemon;
    case BinaryKind::rust:
        break;
    }
    if (version < Version{1, 11, 0}) {
        return share::Dialect::rust_1_0;
    }
    return version < Version{1, 14, 0} ? share::Dialect::rust_1_11 : share::Dialect::rust_1_14;
}

Answer knows_method(const share::DaemonInfo& daemon, MigrationMethod method) {
    share::Share share;
    share.method = method;
    return share::check_support(share, daemon, {}) ? Answer::yes : Answer::no;
}

} // namespace

DaemonAbilities abilities_of(const node::BinaryFacts& binary) {
    DaemonAbilities abilities;
    if (!binary.kind) {
        return abilities;
    }
    const auto version = binary.version.value_or(Version{});
    const share::DaemonInfo daemon{.dialect = dialect_of(*binary.kind, version),
                                   .version = version,
                                   .features = binary.features,
                                   .is_probed = !binary.features.empty()};
    if (binary.kind == BinaryKind::rust && !binary.version) {
        return abilities;
    }
    for (const auto method : {MigrationMethod::find_paths,
                              MigrationMethod::file_handles,
                              MigrationMethod::fd_passing}) {
        abilities.methods[static_cast<std::size_t>(method)] = knows_method(daemon, method);
    }
    abilities.migrates = abilities.methods.front();
    if (!binary.features.empty() && !binary.has_feature(feature_migrate)) {
        abilities.migrates = Answer::no; // libvirt goes by this word alone
    }
    return abilities;
}

DaemonAbilities abilities_of(const node::DaemonFacts& daemon, const node::BinaryFacts* file) {
    node::BinaryFacts binary;
    binary.kind = daemon.kind;
    binary.version = daemon.version;
    if (file != nullptr && !daemon.is_binary_replaced.value_or(true)) {
        binary.features = file->features;
        if (!binary.kind) {
            binary.kind = file->kind;
            binary.version = file->version;
        }
    }
    auto abilities = abilities_of(binary);
    if (binary.features.empty() && binary.kind == BinaryKind::bundled) {
        // Which of our versions it is, its file no longer tells.
        abilities.methods[static_cast<std::size_t>(MigrationMethod::fd_passing)] = Answer::unknown;
    }
    if (daemon.is_alive && daemon.options && daemon.options->is_method_explicit) {
        // It would not have started with a word that it does not know.
        abilities.methods[static_cast<std::size_t>(daemon.options->method)] = Answer::yes;
    }
    return abilities;
}

std::string describe_daemon(const std::optional<BinaryKind>& kind,
                            const std::optional<Version>& version) {
    if (!kind) {
        return "the virtiofsd";
    }
    switch (*kind) {
    case BinaryKind::bundled:
        return "the bundled virtiofsd";
    case BinaryKind::c:
        return "the C virtiofsd";
    case BinaryKind::rust:
        break;
    }
    return version ? fmt::format("virtiofsd {}", share::to_string(*version)) : "virtiofsd";
}

} // namespace vfskit::check
