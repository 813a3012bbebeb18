/** The version in package.json. */
import { installedText } from '../io/installation.ts';

export function version(): string {
  return (JSON.parse(installedText('package.json')) as { version: string }).version;
}
