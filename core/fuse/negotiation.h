// SPDX-License-Identifier: Apache-2.0
// INIT as a pure function: what the guest can, what the administrator wants, what becomes of it.
#pragma once

#include "core/fuse/filesystem.h"
#include "core/fuse/options.h"

#include <string_view>
#include <vector>

namespace vfskit::fuse {

/// Oldest minor that we serve: below it replies have other sizes (7.23) and the guest cannot
/// do without FUSE_MAX_PAGES semantics. As upstream.
inline constexpr std::uint32_t oldest_minor = 27;
/// What we answer: the newest minor of wire.h.
inline constexpr std::uint32_t newest_minor = 45;

struct Negotiation {
    /// Not initialized when the guest must ask again with an older major.
    NegotiatedState state;
    wire::InitOut reply{};
    /// For the operator: what was wished and could not be had.
    std::vector<std::string_view> warnings;
};

/// EPROTO: the guest is too old, or lacks what a FeatureMode::always needs.
Outcome<Negotiation> negotiate(const Options& options, const wire::InitIn& guest);

} // namespace vfskit::fuse
