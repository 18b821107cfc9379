// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/mapping/mapping.h"
#include "core/node/facts.h"

#include <array>
#include <cstddef>

namespace vfskit::check {

/// What the facts say to a question.
enum class Answer { no, yes, unknown };

/// What a virtiofsd can do for a migration.
struct DaemonAbilities {
    Answer migrates = Answer::unknown; ///< it saves and loads its state at all
    std::array<Answer, 3> methods{Answer::unknown, Answer::unknown, Answer::unknown};

    [[nodiscard]] Answer knows(mapping::MigrationMethod method) const {
        return methods[static_cast<std::size_t>(method)];
    }
};

/// Of a binary, by what --print-capabilities lists and by its version.
DaemonAbilities abilities_of(const node::BinaryFacts& binary);
/// Of a running daemon; `file`: the facts of the file it was started from, if that is still it.
DaemonAbilities abilities_of(const node::DaemonFacts& daemon, const node::BinaryFacts* file);

/// "virtiofsd 1.13.2", "the bundled virtiofsd", "the C virtiofsd": for sentences.
std::string describe_daemon(const std::optional<node::BinaryKind>& kind,
                            const std::optional<node::Version>& version);

} // namespace vfskit::check
