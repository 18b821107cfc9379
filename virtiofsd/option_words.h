// SPDX-License-Identifier: Apache-2.0
// The words that options take, long ones and those of the C daemon. Internal to the option parser.
#pragma once

#include "core/base/result.h"
#include "core/base/text.h"
#include "virtiofsd/options.h"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <string>
#include <string_view>

namespace vfskit::virtiofsd {

template <class T>
struct Word {
    std::string_view text;
    T value;
};

template <class T, std::size_t N>
Result<T> parse_word(std::string_view value, const std::array<Word<T>, N>& words) {
    const std::string wanted = base::to_lower(value);
    std::array<std::string_view, N> known;
    for (std::size_t i = 0; i < N; ++i) {
        if (words[i].text == wanted) {
            return words[i].value;
        }
        known[i] = words[i].text;
    }
    std::string list;
    for (const auto word : known) {
        list += fmt::format("{}{}", list.empty() ? "" : ", ", word);
    }
    Error error{EINVAL, fmt::format("invalid value '{}' [possible values: {}]", value, list)};
    if (const auto near = base::nearest(wanted, known)) {
        return std::move(error).with_remedy(fmt::format("Did you mean '{}'?", *near));
    }
    return error;
}

inline constexpr std::array<Word<CachePolicy>, 4> cache_words{
    {{"auto", CachePolicy::automatic},
     {"always", CachePolicy::always},
     {"never", CachePolicy::never},
     {"metadata", CachePolicy::metadata}}};
inline constexpr std::array<Word<CachePolicy>, 4> legacy_cache_words{
    {{"auto", CachePolicy::automatic},
     {"always", CachePolicy::always},
     {"none", CachePolicy::never},
     {"metadata", CachePolicy::metadata}}};
inline constexpr std::array<Word<SandboxMode>, 3> sandbox_words{
    {{"namespace", SandboxMode::namespaces},
     {"chroot", SandboxMode::chroot},
     {"none", SandboxMode::none}}};
inline constexpr std::array<Word<SandboxMode>, 2> legacy_sandbox_words{
    {{"namespace", SandboxMode::namespaces}, {"chroot", SandboxMode::chroot}}};
inline constexpr std::array<Word<SeccompAction>, 4> seccomp_words{{{"none", SeccompAction::none},
                                                                   {"kill", SeccompAction::kill},
                                                                   {"log", SeccompAction::log},
                                                                   {"trap", SeccompAction::trap}}};
// "fallback" is upstream's deprecated word for "prefer".
inline constexpr std::array<Word<InodeFileHandles>, 4> file_handle_words{
    {{"never", InodeFileHandles::never},
     {"prefer", InodeFileHandles::prefer},
     {"mandatory", InodeFileHandles::mandatory},
     {"fallback", InodeFileHandles::prefer}}};
inline constexpr std::array<Word<Negotiation>, 3> negotiation_words{
    {{"never", Negotiation::never},
     {"auto", Negotiation::automatic},
     {"always", Negotiation::always}}};
inline constexpr std::array<Word<MigrationMode>, 3> migration_mode_words{
    {{"find-paths", MigrationMode::find_paths},
     {"file-handles", MigrationMode::file_handles},
     {"fd-passing", MigrationMode::fd_passing}}};
inline constexpr std::array<Word<OnError>, 2> on_error_words{
    {{"abort", OnError::abort}, {"guest-error", OnError::guest_error}}};

struct LogChoice {
    LogLevel level = LogLevel::info;
    bool off = false;
};
inline constexpr std::array<Word<LogChoice>, 6> log_words{{{"error", {LogLevel::error, false}},
                                                           {"warn", {LogLevel::warn, false}},
                                                           {"info", {LogLevel::info, false}},
                                                           {"debug", {LogLevel::debug, false}},
                                                           {"trace", {LogLevel::trace, false}},
                                                           {"off", {LogLevel::error, true}}}};
inline constexpr std::array<Word<LogChoice>, 4> legacy_log_words{
    {{"debug", {LogLevel::debug, false}},
     {"info", {LogLevel::info, false}},
     {"warn", {LogLevel::warn, false}},
     {"err", {LogLevel::error, false}}}};

inline void set_log(Options& options, LogChoice choice) {
    options.log_level = choice.level;
    options.log_off = choice.off;
}

} // namespace vfskit::virtiofsd
