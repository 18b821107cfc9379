// SPDX-License-Identifier: Apache-2.0
#include "core/check/migration.h"

#include "core/base/text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <span>

namespace vfskit::check {
namespace {

/// The value whose word `text` is.
template <class T, std::size_t Count>
Result<T> parse_enum(std::string_view text, std::string_view what, std::array<T, Count> values) {
    std::array<std::string_view, Count> words;
    std::ranges::transform(values, words.begin(), [](T value) { return to_string(value); });
    const auto found = std::ranges::find(words, text);
    if (found != words.end()) {
        return values[static_cast<std::size_t>(found - words.begin())];
    }
    const auto near = base::nearest(text, words);
    return Error{EINVAL, fmt::format("'{}' is no {}", text, what)}.with_remedy(
        near ? fmt::format("Did you mean '{}'?", *near)
             : fmt::format("Use one of: {}", fmt::join(words, ", ")));
}

} // namespace

std::string_view to_string(Operation operation) {
    switch (operation) {
    case Operation::live:
        return "live";
    case Operation::offline:
        return "offline";
    case Operation::save:
        return "save";
    case Operation::snapshot:
        return "snapshot";
    }
    return "";
}

Result<Operation> parse_operation(std::string_view word) {
    return parse_enum(
        word,
        "operation",
        std::array{Operation::live, Operation::offline, Operation::save, Operation::snapshot});
}

Result<Transport> parse_transport(std::string_view uri) {
    const auto colon = uri.find(':');
    if (colon == std::string_view::npos || colon == 0) {
        return Error{EINVAL, fmt::format("'{}' is no migration URI", uri)}.with_remedy(
            "Write it as unix:PATH, tcp:HOST:PORT or file:PATH");
    }
    const auto scheme = uri.substr(0, colon);
    if (scheme == "unix") {
        return Transport::unix_socket;
    }
    if (scheme == "tcp" || scheme == "rdma") {
        return scheme == "tcp" ? Transport::tcp : Transport::other;
    }
    return scheme == "file" ? Transport::file : Transport::other;
}

std::string_view to_string(DescriptorTransfer transfer) {
    switch (transfer) {
    case DescriptorTransfer::none:
        return "none";
    case DescriptorTransfer::backend_transfer:
        return "backend-transfer";
    case DescriptorTransfer::cpr_transfer:
        return "cpr-transfer";
    }
    return "";
}

Result<DescriptorTransfer> parse_descriptor_transfer(std::string_view word) {
    return parse_enum(word,
                      "descriptor transfer",
                      std::array{DescriptorTransfer::none,
                                 DescriptorTransfer::backend_transfer,
                                 DescriptorTransfer::cpr_transfer});
}

} // namespace vfskit::check
