export interface ArchivedImage {
  readonly platform: { readonly architecture: string; readonly os: string; readonly variant?: string };
  readonly tree: string;
  readonly config: object;
}

export function makeArchive(options: {
  readonly target: string;
  readonly reference: string;
  readonly images: readonly ArchivedImage[];
  readonly work: string;
  readonly epoch: number;
  readonly compression: number;
  readonly createdBy: string;
}): Promise<string>;
