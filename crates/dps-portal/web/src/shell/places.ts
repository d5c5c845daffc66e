// Every page of the portal: its address, its place in the navigation, what shows it.
import type { FunctionComponent } from "preact";
import type { IconName } from "../parts/icon";
import { Alerts } from "../pages/alerts/alerts";
import { Logs } from "../pages/logs/logs";
import { Metrics } from "../pages/metrics/metrics";
import { Overview } from "../pages/overview/overview";
import { Settings } from "../pages/settings/settings";

export interface Place {
  page: string;
  show: FunctionComponent;
  section: "Watch" | "Devices" | "Service" | "Development";
  nav?: string;
  icon?: IconName;
  /** Pages that are opened from it. */
  under?: readonly string[];
  devOnly?: boolean;
}

export const pages: readonly Place[] = [
  { page: "overview", show: Overview, section: "Watch", nav: "Overview", icon: "overview" },
  { page: "logs", show: Logs, section: "Watch", nav: "Logs", icon: "logs" },
  { page: "metrics", show: Metrics, section: "Watch", nav: "Metrics", icon: "metrics" },
  { page: "alerts", show: Alerts, section: "Watch", nav: "Alerts", icon: "alerts" },
  { page: "settings", show: Settings, section: "Watch", nav: "Diagnostic settings", icon: "settings" },
];
