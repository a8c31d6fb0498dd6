"""Mails as mail systems send them back, each in the style of one of them; written by hand for these tests."""

from __future__ import annotations

TO = "desk@bank.example"
VERP = "bounce+afzqessmmcgejephbknyy7lol5qxboo2lbkaabn6xi@alerts.example.org"


def postfix(
    came_to: str = VERP,
    *,
    recipient: str = TO,
    action: str = "failed",
    status: str = "5.1.1",
    diagnostic: str = "smtp; 550 5.1.1 <desk@bank.example>: Recipient address rejected",
) -> bytes:
    """Postfix: three parts, the original's head alone; the envelope's recipient in Delivered-To."""
    return f"""Return-Path: <>
Delivered-To: {came_to}
Received: by mx.alerts.example.org (Postfix)
\tid 4XyZ; Mon, 29 Jun 2020 21:07:00 +0000 (UTC)
From: MAILER-DAEMON@mx.alerts.example.org (Mail Delivery System)
Subject: Undelivered Mail Returned to Sender
To: bounces@alerts.example.org
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status;
\tboundary="4XyZ.1593464820/mx.alerts.example.org"

This is a MIME-encapsulated message.

--4XyZ.1593464820/mx.alerts.example.org
Content-Description: Notification
Content-Type: text/plain; charset=us-ascii

I'm sorry to have to inform you that your message could not
be delivered to one or more recipients.

--4XyZ.1593464820/mx.alerts.example.org
Content-Description: Delivery report
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.alerts.example.org
X-Postfix-Queue-ID: 4XyZ
Arrival-Date: Mon, 29 Jun 2020 21:06:58 +0000 (UTC)

Final-Recipient: rfc822; {recipient}
Original-Recipient: rfc822;{recipient}
Action: {action}
Status: {status}
Remote-MTA: dns; mx.bank.example
Diagnostic-Code: {diagnostic}

--4XyZ.1593464820/mx.alerts.example.org
Content-Description: Undelivered Message Headers
Content-Type: text/rfc822-headers

Return-Path: <nobody@alerts.example.org>
From: Alerts <alerts@house.example>
Subject: [Hong Kong] Status ends

--4XyZ.1593464820/mx.alerts.example.org--
""".encode()


def exchange(token_in: str = VERP, status: str = "5.1.10") -> bytes:
    """Exchange Online: parts within parts, the report after a page of HTML, the token in the original's Return-Path."""
    return f"""From: <postmaster@bank.onmicrosoft.example>\r
To: <bounces@alerts.example.org>\r
Subject: Undeliverable: [Hong Kong] Status ends\r
MIME-Version: 1.0\r
Content-Type: multipart/report; report-type=delivery-status;\r
\tboundary="6f0c0d5b-3a0e-4c4e"\r
X-MS-Exchange-Message-Is-Ndr:\r
\r
--6f0c0d5b-3a0e-4c4e\r
Content-Type: multipart/alternative; differences=Content-Type;\r
\tboundary="b55b"\r
\r
--b55b\r
Content-Type: text/plain; charset="us-ascii"\r
Content-Transfer-Encoding: quoted-printable\r
\r
desk wasn't found at bank.example.\r
\r
--b55b\r
Content-Type: text/html; charset="us-ascii"\r
\r
<html><body>--6f0c0d5b-3a0e-4c4e is no boundary here</body></html>\r
\r
--b55b--\r
\r
--6f0c0d5b-3a0e-4c4e\r
Content-Type: message/delivery-status\r
\r
Reporting-MTA: dns;HK0PR01.bank.onmicrosoft.example\r
Received-From-MTA: dns;mx.alerts.example.org\r
Arrival-Date: Mon, 29 Jun 2020 21:07:00 +0000\r
\r
Final-Recipient: rfc822;Desk@bank.example\r
Action: failed\r
Status: {status}\r
Diagnostic-Code: smtp;550 {status} RESOLVER.ADR.RecipientNotFound; Recipient not\r
 found by SMTP address lookup\r
\r
\r
--6f0c0d5b-3a0e-4c4e\r
Content-Type: message/rfc822\r
\r
Received: from mx.alerts.example.org (192.0.2.7) by HK0PR01\r
Return-Path: {token_in}\r
From: Alerts <alerts@house.example>\r
To: desk@bank.example\r
Subject: [Hong Kong] Status ends\r
\r
The words of the alert.\r
\r
--6f0c0d5b-3a0e-4c4e--\r
""".encode()


def gmail(came_to: str = VERP) -> bytes:
    """Gmail: related parts first, a vague status with the reason in what the other server said."""
    return f"""Delivered-To: alerts@house.example
From: Mail Delivery Subsystem <mailer-daemon@googlemail.example>
To: {came_to}
Subject: Delivery Status Notification (Failure)
Content-Type: multipart/report; boundary=000000000000a1b2c3; report-type=delivery-status

--000000000000a1b2c3
Content-Type: multipart/related; boundary="000000000000d4"

--000000000000d4
Content-Type: text/plain; charset="UTF-8"

** Address not found **

--000000000000d4--
--000000000000a1b2c3
Content-Type: message/delivery-status

Reporting-MTA: dns; googlemail.example
X-Original-Message-ID: <0@house.example>

Final-Recipient: rfc822; desk@bank.example
Action: failed
Status: 5.0.0
Remote-MTA: dns; mx.bank.example. (192.0.2.25, the server for the domain bank.example.)
Diagnostic-Code: smtp; 550-5.1.1 192.5.1.2 The email account that you tried to reach does not exist.
Last-Attempt-Date: Mon, 29 Jun 2020 14:07:00 -0700 (PDT)

--000000000000a1b2c3--
""".encode()


def qmail(came_to: str = VERP) -> bytes:
    """qmail: words for people, and no report."""
    return f"""Delivered-To: {came_to}
From: MAILER-DAEMON@old.example
To: {came_to}
Subject: failure notice

Hi. This is the qmail-send program at old.example.
I'm afraid I wasn't able to deliver your message to the following addresses.
This is a permanent error; I've given up. Sorry it didn't work out.

<desk@bank.example>:
Sorry, no mailbox here by that name. (#5.1.1)
""".encode()


def complaint(mail_from: str = VERP, kind: str = "abuse") -> bytes:
    """A feedback loop's report (ARF), to the address that was registered for it."""
    return f"""From: <feedback@provider.example>
To: <abuse@alerts.example.org>
Subject: FW: Status ends
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="part1_13d.2e68ed54"

--part1_13d.2e68ed54
Content-Type: text/plain; charset="US-ASCII"

This is an email abuse report for a message received on Mon, 29 Jun 2020.

--part1_13d.2e68ed54
Content-Type: message/feedback-report

Feedback-Type: {kind}
User-Agent: SomeGenerator/1.0
Version: 1
Original-Mail-From: <{mail_from}>
Original-Rcpt-To: <redacted@bank.example>

--part1_13d.2e68ed54
Content-Type: message/rfc822
Content-Disposition: inline

From: <alerts@house.example>
To: redacted@bank.example
Subject: Status ends

The words of the alert.
--part1_13d.2e68ed54--
""".encode()


def vacation(came_to: str = VERP) -> bytes:
    """Somebody is away."""
    return f"""From: desk@bank.example
To: {came_to}
Auto-Submitted: auto-replied
Subject: Out of office
Content-Type: text/plain; charset=utf-8

Action: failed, as it were; I am on leave until Monday.
""".encode()
