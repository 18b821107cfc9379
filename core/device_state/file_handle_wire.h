// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/base/result.h"
#include "core/device_state/postcard.h"
#include "core/device_state/serialized.h"

#include <string_view>

namespace vfskit::device_state {

/// A file handle as upstream's part of the stream and ours have it. `what` it is, for errors.
Result<FileHandle> read_file_handle(PostcardReader& reader, std::string_view what);
void write_file_handle(PostcardWriter& writer, const FileHandle& handle);

} // namespace vfskit::device_state
