/** Messages of D-Bus that the program never sends: signals, replies, calls with numbers. */

export interface TestMessage {
  readonly type: number;
  readonly serial?: number;
  readonly path?: string;
  readonly interface?: string;
  readonly member?: string;
  readonly destination?: string;
  readonly sender?: string;
  readonly replySerial?: number;
  readonly body?: readonly (string | boolean | number)[];
  readonly isBig?: boolean;
}

/** Encodes a message; numbers are u32. */
export function dbusMessage(message: TestMessage): Buffer {
  const { isBig = false, body = [] } = message;
  const u32 = (value: number) => {
    const four = Buffer.alloc(4);
    if (isBig) four.writeUInt32BE(value);
    else four.writeUInt32LE(value);
    return four;
  };
  const aligned = (parts: Buffer, to: number) => Buffer.concat([parts, Buffer.alloc((to - (parts.length % to)) % to)]);
  const string = (text: string) => Buffer.concat([u32(Buffer.byteLength(text)), Buffer.from(`${text}\0`)]);
  let fields: Buffer = Buffer.alloc(0);
  const field = (code: number, signature: string, value: Buffer) => {
    const head = Buffer.from([code, 1, signature.charCodeAt(0), 0]);
    fields = Buffer.concat([aligned(fields, 8), head, value]);
  };
  if (message.path !== undefined) field(1, 'o', string(message.path));
  if (message.interface !== undefined) field(2, 's', string(message.interface));
  if (message.member !== undefined) field(3, 's', string(message.member));
  if (message.replySerial !== undefined) field(5, 'u', u32(message.replySerial));
  if (message.destination !== undefined) field(6, 's', string(message.destination));
  if (message.sender !== undefined) field(7, 's', string(message.sender));
  const signature = body.map(one => ({ string: 's', boolean: 'b', number: 'u' })[typeof one as 'string']).join('');
  if (body.length > 0) field(8, 'g', Buffer.concat([Buffer.from([signature.length]), Buffer.from(`${signature}\0`)]));
  let content: Buffer = Buffer.alloc(0);
  for (const one of body)
    content = Buffer.concat([aligned(content, 4), typeof one === 'string' ? string(one) : u32(Number(one))]);
  const start = Buffer.from([isBig ? 0x42 : 0x6c, message.type, 0, 1]);
  const head = Buffer.concat([start, u32(content.length), u32(message.serial ?? 1), u32(fields.length), fields]);
  return Buffer.concat([aligned(head, 8), content]);
}
