// SPDX-License-Identifier: Apache-2.0
#include "core/device_state/file_handle_wire.h"

#include "core/passthrough/host_calls.h"

namespace vfskit::device_state {

Result<FileHandle> read_file_handle(PostcardReader& reader, std::string_view what) {
    FileHandle handle;
    VFSKIT_TRY_ASSIGN(handle.mount_id, reader.read_u64("mount id of a file handle"));
    VFSKIT_TRY_ASSIGN(handle.type, reader.read_i32("type of a file handle"));
    VFSKIT_TRY_ASSIGN(const auto bytes,
                      reader.read_bytes(passthrough::HostFileHandle::max_size, what));
    handle.bytes.assign(bytes.begin(), bytes.end());
    return handle;
}

void write_file_handle(PostcardWriter& writer, const FileHandle& handle) {
    writer.write_unsigned(handle.mount_id);
    writer.write_signed(handle.type);
    writer.write_bytes(handle.bytes);
}

} // namespace vfskit::device_state
