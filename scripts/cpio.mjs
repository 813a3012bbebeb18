// Writes archives in the format of Linux's initial file system ("newc",
// Documentation/driver-api/early-userspace/buffer-format.rst). Each file is a header of hexadecimal
// fields, the name, and the data, padded to four bytes.

/**
 * @param {readonly { name: string, mode: number, data?: string | Uint8Array }[]} files paths
 * without a leading slash
 * @returns {Buffer}
 */
export function cpio(files) {
  const parts = [];
  let inode = 1;
  for (const { name, mode, data = '' } of [...files, { name: 'TRAILER!!!', mode: 0 }]) {
    const bytes = Buffer.from(data);
    const nameSize = Buffer.byteLength(name) + 1;
    //             inode    mode  uid gid links mtime size      device  major,minor     name     check
    const fields = [inode++, mode, 0, 0, 1, 0, bytes.length, 0, 0, 0, 0, nameSize, 0];
    const header = `070701${fields.map(field => field.toString(16).padStart(8, '0')).join('')}${name}\0`;
    parts.push(Buffer.from(header), Buffer.alloc(-header.length & 3), bytes, Buffer.alloc(-bytes.length & 3));
  }
  return Buffer.concat(parts);
}
