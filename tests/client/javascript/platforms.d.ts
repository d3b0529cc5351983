// What the pages import from others, as far as they use it.
declare module "expo-secure-store" {
  export function getItemAsync(key: string): Promise<string | null>;
  export function setItemAsync(key: string, value: string): Promise<void>;
  export function deleteItemAsync(key: string): Promise<void>;
}

declare module "react-native-keychain" {
  export function getGenericPassword(options: { service: string }): Promise<false | { password: string }>;
  export function setGenericPassword(
    name: string,
    password: string,
    options: { service: string },
  ): Promise<unknown>;
  export function resetGenericPassword(options: { service: string }): Promise<boolean>;
}

declare module "@aparajita/capacitor-secure-storage" {
  export const SecureStorage: {
    get(key: string): Promise<unknown>;
    set(key: string, value: string): Promise<void>;
    remove(key: string): Promise<boolean>;
  };
}
