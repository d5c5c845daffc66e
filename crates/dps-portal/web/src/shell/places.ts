// Every page of the portal: its address, its place in the navigation, what shows it.
import type { FunctionComponent } from "preact";
import type { IconName } from "../parts/icon";
import { Alerts } from "../pages/alerts/alerts";
import { Dev } from "../pages/dev/dev";
import { Device } from "../pages/device/device";
import { Diagnose } from "../pages/diagnose/diagnose";
import { EnrollmentPage, GroupPage } from "../pages/enrollments/detail";
import { Enrollments, Groups } from "../pages/enrollments/enrollments";
import { Inbox } from "../pages/inbox/inbox";
import { Logs } from "../pages/logs/logs";
import { Metrics } from "../pages/metrics/metrics";
import { Overview } from "../pages/overview/overview";
import { Certificates } from "../pages/service/certificates";
import { Hubs } from "../pages/service/hubs";
import { Policies } from "../pages/service/policies";
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
  { page: "diagnose", show: Diagnose, section: "Watch", nav: "Diagnose", icon: "diagnose" },
  { page: "logs", show: Logs, section: "Watch", nav: "Logs", icon: "logs" },
  { page: "metrics", show: Metrics, section: "Watch", nav: "Metrics", icon: "metrics" },
  { page: "alerts", show: Alerts, section: "Watch", nav: "Alerts", icon: "alerts" },
  { page: "settings", show: Settings, section: "Watch", nav: "Diagnostic settings", icon: "settings" },
  { page: "enrollments", show: Enrollments, section: "Devices", nav: "Enrollments", icon: "enrollments", under: ["enrollment"] },
  { page: "groups", show: Groups, section: "Devices", nav: "Enrollment groups", icon: "groups", under: ["group"] },
  { page: "inbox", show: Inbox, section: "Devices", nav: "Inbox", icon: "inbox" },
  { page: "enrollment", show: EnrollmentPage, section: "Devices" },
  { page: "group", show: GroupPage, section: "Devices" },
  { page: "device", show: Device, section: "Devices" },
  { page: "hubs", show: Hubs, section: "Service", nav: "Hubs", icon: "hubs" },
  { page: "certificates", show: Certificates, section: "Service", nav: "CA certificates", icon: "certificates" },
  { page: "policies", show: Policies, section: "Service", nav: "Access policies", icon: "policies" },
  { page: "dev", show: Dev, section: "Development", nav: "Faults and clock", icon: "dev", devOnly: true },
];
